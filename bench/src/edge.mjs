// A rate-limit decision in workerd: restis on WebAssembly, @upstash/ratelimit, and a call of the functions.
//
// RESTIS_BIN and RESTIS_APP are programs, RESTIS_EDGE the directory that .ci/wasm has filled,
// BENCH_MODULES one with the peers, BENCH_ROUNDS how often each side has its turn.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startApp, startRestis, startWorkerd } from "../../tests/edge/workerd.mjs";

const { RESTIS_BIN, RESTIS_APP, RESTIS_EDGE: edge, BENCH_MODULES: modules, BENCH_ROUNDS } = process.env;
const rounds = Number(BENCH_ROUNDS);
const own = await startRestis(RESTIS_BIN);
const store = own.url;
const app = await startApp(RESTIS_APP, { UPSTASH_REDIS_REST_URL: store, UPSTASH_REDIS_REST_TOKEN: "TOKEN", RESTIS_SERVICE_TOKEN: "a-token-of-the-benchmark" });
const functions = app.url;
const dir = mkdtempSync(join(tmpdir(), "restis-bench-edge-"));
const { build } = createRequire(join(modules, "x"))("esbuild");

/** A worker: `/` decides once, `/many?n=` so often, `/sent` tells how many requests it sent. */
const worker = (imports, decide) => `${imports}
let sent = 0;
const direct = globalThis.fetch;
globalThis.fetch = (...args) => { sent += 1; return direct(...args); };
${decide}
export default {
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === "/sent") return new Response(String(sent));
    const turns = Number(url.searchParams.get("n") ?? 1);
    let allowed = 0;
    for (let n = 0; n < turns; n += 1) allowed += Number(await decide());
    return new Response(String(allowed));
  },
};
`;

const sources = {
  empty: worker("", "const decide = async () => true;"),
  restis: worker(
    "import { initSync, Small } from \"./edge_limiter.js\"; import module from \"./edge_limiter_bg.wasm\";",
    `let small;
const decide = () => {
  if (!small) { initSync({ module }); small = new Small(${JSON.stringify(store)}, "TOKEN", 1000000, 60); }
  return small.limit("someone");
};`,
  ),
  "@upstash/ratelimit": worker(
    "import { Ratelimit } from \"@upstash/ratelimit\"; import { Redis } from \"@upstash/redis/cloudflare\";",
    `let limiter;
const decide = async () => {
  limiter ??= new Ratelimit({ redis: new Redis({ url: ${JSON.stringify(store)}, token: "TOKEN" }), limiter: Ratelimit.slidingWindow(1000000, "60 s") });
  return (await limiter.limit("someone")).success;
};`,
  ),
  "the functions": worker(
    "",
    `const decide = async () => {
  const response = await globalThis.fetch(${JSON.stringify(`${functions}/api/ratelimit`)}, { method: "POST", headers: { authorization: "Bearer a-token-of-the-benchmark", "content-type": "application/json" }, body: "{\\"identifier\\":\\"someone\\"}" });
  return (await response.json()).allowed;
};`,
  ),
};

const sides = {};
for (const [name, source] of Object.entries(sources)) {
  const file = join(dir, `${Object.keys(sides).length}.mjs`);
  writeFileSync(file, source);
  const bundle = file.replace(".mjs", ".bundle.mjs");
  await build({ entryPoints: [file], outfile: bundle, bundle: true, minify: true, format: "esm", target: "es2022", nodePaths: [modules], external: ["*.wasm", "./edge_limiter.js"], logLevel: "error" });
  const files = [bundle];
  if (name === "restis") for (const own of ["edge_limiter.js", "edge_limiter_bg.wasm"]) { copyFileSync(join(edge, own), join(dir, own)); files.push(join(dir, own)); }
  sides[name] = { files, bytes: files.reduce((sum, one) => sum + gzipSync(readFileSync(one), { level: 9 }).length, 0), first: [], warm: [] };
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
const get = async (url) => (await fetch(url)).text();

try {
  // In turns, each in a process of its own: from the start of workerd to the first decision.
  for (let round = 0; round < rounds; round += 1) {
    for (const side of Object.values(sides)) {
      const start = performance.now();
      const running = await startWorkerd(side.files);
      await get(`${running.url}/`);
      side.first.push(performance.now() - start);
      await running.stop();
    }
  }
  for (const side of Object.values(sides)) {
    side.running = await startWorkerd(side.files);
    await get(`${side.running.url}/many?n=200`);
    const before = Number(await get(`${side.running.url}/sent`));
    await get(`${side.running.url}/many?n=100`);
    side.trips = (Number(await get(`${side.running.url}/sent`)) - before) / 100;
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const side of Object.values(sides)) {
      const start = performance.now();
      await get(`${side.running.url}/many?n=200`);
      side.warm.push((performance.now() - start) / 200);
    }
  }
  const { empty, ...measured } = sides;
  const idle = resident(empty.running.pid);
  const start = median(empty.first);
  for (const side of Object.values(measured)) {
    side.first = Math.max(median(side.first) - start, 0.01);
    side.warm = median(side.warm);
    side.memory = Math.max(resident(side.running.pid) - idle, 1);
  }
  const ours = measured.restis;
  const line = (title, value, unit, digits) => {
    process.stdout.write(`${title}\n`);
    for (const [name, side] of Object.entries(measured)) {
      const ratio = name === "restis" ? "" : `   ${(value(side) / value(ours)).toFixed(2)}`;
      process.stdout.write(`  ${name.padEnd(24)}${value(side).toFixed(digits).padStart(10)} ${unit}${ratio}\n`);
    }
  };
  process.stdout.write("Decisions of a sliding window in workerd; beside each peer its figure as a multiple of restis on WebAssembly\n");
  line("start of an isolate until its first decision, without that of an empty worker", (side) => side.first, "ms", 1);
  line("a decision of a warm isolate, one after another", (side) => side.warm, "ms", 3);
  line("requests a decision", (side) => side.trips, "", 2);
  line("size, gzip", (side) => side.bytes / 1000, "kB", 1);
  line("memory beside that of an empty worker", (side) => side.memory / 2 ** 20, "MiB", 1);
} finally {
  for (const side of Object.values(sides)) await side.running?.stop();
  await app.stop();
  await own.stop();
  rmSync(dir, { recursive: true, force: true });
}

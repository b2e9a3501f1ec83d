// The functions as a worker, in Node and in workerd, beside the native program: the same answers.
//
// RESTIS_BIN is the program `restis`, RESTIS_APP the program `app`, RESTIS_EDGE the directory that
// .ci/wasm has filled.
import assert from "node:assert/strict";
import { mkdirSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { startFaults } from "./faults.mjs";
import { startApp, startRestis, startWorkerd } from "./workerd.mjs";

const built = process.env.RESTIS_EDGE;
const source = join(import.meta.dirname, "..", "..", "examples", "worker", "worker.mjs");

/** Most bytes of all functions, compressed. */
const SIZE = 1_000_000;
const TOKEN = "a-service-token-for-tests";
const SECRET = "0123456789abcdef0123456789abcdef";

const bindings = (store) => ({
  UPSTASH_REDIS_REST_URL: store,
  UPSTASH_REDIS_REST_TOKEN: "TOKEN",
  RESTIS_SERVICE_TOKEN: TOKEN,
  SESSION_SECRETS: SECRET,
  SESSION_LOGIN_SECRETS: SECRET,
  EVENTS_GRANT_SECRETS: SECRET,
  SESSION_MAX_INVALID_COOKIES: "2",
  RATE_LIMIT_POLICIES: JSON.stringify({ counted: { algorithm: "fixed-window", limit: 50, window: "1h", analytics: true } }),
  METRICS_FLUSH_SECONDS: "0",
  // As the platforms differ in it.
  EVENTS_STREAM_SECONDS: "30",
});

/** The worker's files as they are deployed. */
function deployed() {
  const dir = mkdtempSync(join(tmpdir(), "restis-worker-"));
  mkdirSync(join(dir, "pkg"));
  copyFileSync(source, join(dir, "worker.mjs"));
  for (const name of ["restis_worker.js", "restis_worker_bg.wasm"]) copyFileSync(join(built, name), join(dir, "pkg", name));
  return dir;
}

const hosts = {
  /** Node stands for a host of workers: the glue of the worker without the import of WebAssembly. */
  async node(env) {
    const dir = deployed();
    const program = await import(pathToFileURL(join(dir, "pkg", "restis_worker.js")));
    program.initSync({ module: readFileSync(join(dir, "pkg", "restis_worker_bg.wasm")) });
    const kept = [];
    const ctx = { waitUntil: (promise) => kept.push(promise) };
    return {
      kept,
      fetch: (path, init) => program.fetch(new Request(`http://worker${path}`, { duplex: "half", ...init }), env, ctx),
      stop: () => rmSync(dir, { recursive: true }),
    };
  },
  async workerd(env) {
    const dir = deployed();
    const files = ["worker.mjs", "pkg/restis_worker.js", "pkg/restis_worker_bg.wasm"].map((name) => [name, join(dir, name)]);
    const worker = await startWorkerd(files, { bindings: env, flags: ["enable_request_signal"] });
    return {
      log: worker.log,
      fetch: (path, init) => fetch(worker.url + path, init),
      async stop() {
        await worker.stop();
        rmSync(dir, { recursive: true });
      },
    };
  },
};

const authorized = (token = TOKEN) => ({ authorization: `Bearer ${token}` });
const json = { "content-type": "application/json" };

test("all functions are small", () => {
  const bytes = gzipSync(readFileSync(join(built, "restis_worker_bg.wasm")), { level: 9 }).length;
  assert.ok(bytes <= SIZE, `${bytes} bytes of gzip`);
});

/** What of an answer is the same everywhere: not its ids, times and tokens. */
async function comparable(response) {
  const text = await response.text();
  const type = response.headers.get("content-type");
  const headers = ["allow", "cache-control", "content-type", "retry-after", "www-authenticate", "x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit-policy"];
  const told = Object.fromEntries(headers.map((name) => [name, response.headers.get(name)]));
  const hasBody = text && type?.includes("json");
  const shape = (value) => {
    if (Array.isArray(value)) return value.slice(0, 1).map(shape);
    if (value === null || typeof value !== "object") return typeof value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]));
  };
  const body = !hasBody ? undefined : type.startsWith("application/problem+json") ? JSON.parse(text) : shape(JSON.parse(text));
  if (body) delete body.instance;
  return { status: response.status, ...told, body };
}

for (const [host, start] of Object.entries(hosts)) {
  describe(host, () => {
    let running, store, native;
    before(async () => {
      store = await startRestis(process.env.RESTIS_BIN, "--token", "OTHER");
      const env = bindings(store.url);
      running = await start(env);
      native = await startApp(process.env.RESTIS_APP, { ...env, UPSTASH_REDIS_REST_TOKEN: "OTHER" });
    });
    after(async () => {
      await running?.stop();
      await native?.stop();
      await store?.stop();
    });

    test("every route answers every caller as the native program does", async () => {
      const both = async (path, init) => {
        const [here, there] = await Promise.all([running, native].map((one) => one.fetch(path, init).then(comparable)));
        assert.deepEqual(here, there, `${init.method ?? "GET"} ${path} ${JSON.stringify(init.headers)} ${init.body}`);
        return here.status;
      };
      const description = await (await native.fetch("/api/openapi.json", {})).json();
      const operationsOf = ({ paths }) => Object.entries(paths).map(([path, operations]) => [path, Object.keys(operations)]);
      const own = await (await running.fetch("/api/openapi.json", {})).json();
      assert.deepEqual(operationsOf(own), operationsOf(description));
      const seen = {};
      for (const [template, operations] of Object.entries(description.paths)) {
        const path = template.replaceAll(/\{\w+\}/g, "some");
        // They do not end by themselves.
        if (path === "/api/events/stream" || path === "/api/events/poll") continue;
        for (const method of Object.keys(operations).filter((name) => /^(get|put|post|patch|delete)$/.test(name))) {
          for (const headers of [{}, authorized("wrong-token-of-some-length"), authorized()]) {
            const bodies = ["get", "delete"].includes(method) ? [undefined] : ["{}", "[1", "{\"identifier\":\"alice\",\"events\":[]}"];
            for (const body of bodies) {
              const status = await both(path, { method: method.toUpperCase(), headers: body ? { ...headers, ...json } : headers, body });
              seen[status] = (seen[status] ?? 0) + 1;
            }
          }
        }
      }
      for (const [path, init] of [
        ["/api/nothing", {}],
        ["/", {}],
        ["/api/ratelimit", { method: "PUT" }],
        ["/api/health", { method: "HEAD" }],
        ["/api/ratelimit", { method: "POST", headers: authorized(), body: "identifier=alice" }],
        ["/api/ratelimit", { method: "POST", headers: { ...authorized(), ...json }, body: `{"identifier":"${"x".repeat(5000)}"}` }],
        ["/api/ratelimit", { method: "POST", headers: { ...authorized(), ...json }, body: "x".repeat(2 ** 20 + 1) }],
        ["/api/ratelimit", { method: "POST", headers: { ...authorized(), ...json, "content-encoding": "gzip" }, body: "x" }],
        ["/api/cache/entries/a%2Fb%3Fc?x=%20y", { headers: authorized() }],
        ["/api/events/history?limit=nonsense", { headers: authorized() }],
        ["/api/session", { headers: { cookie: "a=b" } }],
      ]) {
        const status = await both(path, init);
        seen[status] = (seen[status] ?? 0) + 1;
      }
      for (const status of [200, 400, 401, 404, 405, 413, 415]) assert.ok(seen[status], `no answer was ${status}: ${JSON.stringify(seen)}`);
    });

    test("a limit counts, and analytics follow the answer under waitUntil", async () => {
      const check = () => running.fetch("/api/ratelimit", { method: "POST", headers: { ...authorized(), ...json }, body: "{\"identifier\":\"bob\",\"policy\":\"counted\"}" });
      const remaining = async () => (await (await check()).json()).remaining;
      const first = await remaining();
      assert.equal(await remaining(), first - 1);
      if (running.kept) {
        assert.ok(running.kept.length >= 2);
        await Promise.all(running.kept);
      }
      const usage = async () => {
        const response = await running.fetch("/api/ratelimit/usage?policy=counted", { headers: authorized() });
        return (await response.json()).most_allowed.find((one) => one.name === "bob")?.count ?? 0;
      };
      for (let tries = 0; await usage() < 2; tries += 1) assert.ok(tries < 500, "analytics were not written");
    });

    test("a session lives from the sign-in to the sign-out", async () => {
      const create = await running.fetch("/api/sessions", { method: "POST", headers: { ...authorized(), ...json }, body: "{\"user\":\"ann\"}" });
      assert.ok(create.ok, await create.clone().text());
      const cookie = create.headers.getSetCookie()[0].split(";")[0];
      const current = async () => (await running.fetch("/api/session", { headers: { cookie } })).text();
      assert.match(await current(), /"ann"/);
      const out = await running.fetch("/api/session", { method: "DELETE", headers: { cookie, "sec-fetch-site": "same-origin" } });
      assert.ok(out.ok, `${out.status}`);
      assert.doesNotMatch(await current(), /"ann"/);
    });

    test("events are streamed as they come", async () => {
      const gone = new AbortController();
      const response = await running.fetch("/api/events/stream", { headers: authorized(), signal: gone.signal });
      assert.equal(response.headers.get("content-type"), "text/event-stream");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      const until = async (part) => {
        while (!text.includes(part)) {
          const { value, done } = await reader.read();
          assert.ok(!done, `the stream ended: ${text}`);
          text += value;
        }
      };
      await until("event: ready");
      for (let n = 0; n < 5; n += 1) {
        const event = { type: "booking.created", data: { n } };
        const published = await running.fetch("/api/events/publish", { method: "POST", headers: { ...authorized(), ...json }, body: JSON.stringify(event) });
        assert.ok(published.ok, await published.clone().text());
        await until(`"n":${n}`);
      }
      await reader.cancel();
      gone.abort();
    });

    test("no header names a client unless it is configured", async () => {
      const guess = async (worker, address) => {
        const response = await worker.fetch("/api/session", { headers: { cookie: "__Host-sid=forged", "cf-connecting-ip": address, "x-forwarded-for": address, "x-real-ip": address } });
        return response.status;
      };
      const each = [];
      for (let n = 0; n < 4; n += 1) each.push(await guess(running, `192.0.2.${n}`));
      assert.deepEqual(each, [200, 200, 429, 429], "all are one client");
      if (host === "node") return;
      const named = await start({ ...bindings(store.url), CLIENT_IP_HEADER: "cf-connecting-ip" });
      try {
        for (let n = 0; n < 4; n += 1) assert.equal(await guess(named, `192.0.2.${n}`), 200);
        assert.deepEqual([await guess(named, "192.0.2.1"), await guess(named, "192.0.2.1")], [200, 429]);
      } finally {
        await named.stop();
      }
    });

    if (host === "workerd") {
      test("a configuration that is wrong is told on the console alone", async () => {
        const wrong = await start({ UPSTASH_REDIS_REST_URL: "nonsense", UPSTASH_REDIS_REST_TOKEN: "very-secret" });
        try {
          const response = await wrong.fetch("/api/health");
          assert.equal(response.status, 500);
          const text = await response.text();
          assert.ok(!text.includes("UPSTASH"));
          while (!wrong.log().includes("UPSTASH_REDIS_REST_URL")) await new Promise((resolve) => setTimeout(resolve, 5));
          assert.ok(!(text + wrong.log()).includes("very-secret"));
        } finally {
          await wrong.stop();
        }
      });

      test("clients that go away harm nobody", async () => {
        const faults = await startFaults(store.url);
        const worker = await start(bindings(faults.url("through")));
        try {
          const check = (identifier, signal) => worker.fetch("/api/ratelimit", { method: "POST", headers: { ...authorized(), ...json }, body: JSON.stringify({ identifier }), signal });
          for (let round = 0; round < 3; round += 1) {
            const gone = new AbortController();
            const before = faults.seen.through ?? 0;
            const hanging = Promise.allSettled(Array.from({ length: 20 }, () => check("hang", gone.signal)));
            while ((faults.seen.through ?? 0) < before + 20) await new Promise((resolve) => setTimeout(resolve, 5));
            const beside = Array.from({ length: 20 }, () => check("beside"));
            gone.abort();
            await hanging;
            for (const response of await Promise.all(beside)) assert.notEqual(response.status, 504);
          }
          const later = await check("later");
          assert.equal(later.status, 200, await later.text());
        } finally {
          await worker.stop();
          faults.stop();
        }
      });
    }
  });
}

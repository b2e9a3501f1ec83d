// The client in Node, Bun, Deno, edge-runtime and workerd against the functions of `restis dev`.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EdgeRuntime } from "edge-runtime";
import { build } from "esbuild";
import { skip, startRestis, type Restis } from "./support/restis.js";
import type { Seen } from "./runtime/probe.js";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
let restis: Restis;
before(async () => {
  if (!skip) restis = await startRestis();
});
after(() => restis?.stop());

const expected: Seen = { limit: [true, false], events: ["grüezi"], cached: [1], problem: "not-found", deadline: "deadline" };

async function bundle(name: string, format: "esm" | "iife"): Promise<string> {
  const entry = fileURLToPath(new URL(`runtime/${name}.js`, import.meta.url));
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format, write: false });
  return outputFiles[0]!.text;
}

const address = (organisation: string) => `http://worker/?${new URLSearchParams({ url: restis.url, token: restis.token, organisation })}`;

for (const name of ["node", "bun"]) {
  test(name, { skip }, async () => {
    const program = name === "node" ? process.execPath : bun();
    const script = fileURLToPath(new URL("runtime/script.js", import.meta.url));
    const { stdout } = await run(program, [script, restis.url, restis.token, name]);
    assert.deepEqual(JSON.parse(stdout), expected);
  });
}

test("deno", { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "restis-deno-"));
  try {
    const map = join(directory, "imports.json");
    writeFileSync(map, JSON.stringify({ imports: { restis: new URL("../dist/index.js", import.meta.url).href } }));
    const script = fileURLToPath(new URL("runtime/script.js", import.meta.url));
    const launcher = require.resolve("deno/bin.cjs");
    const args = [launcher, "run", "--no-config", "--no-remote", "--allow-net=127.0.0.1", `--import-map=${map}`, script, restis.url, restis.token, "deno"];
    const { stdout } = await run(process.execPath, args, { env: { ...process.env, DENO_DIR: directory, DENO_NO_UPDATE_CHECK: "1" } });
    assert.deepEqual(JSON.parse(stdout), expected);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** The program of the platform's package, or where that of `bun` moves it when it may. */
function bun(): string {
  const at = (from: NodeJS.Require, name: string) => dirname(from.resolve(`${name}/package.json`));
  const moved = at(require, "bun");
  const platform = `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
  const own = join(at(createRequire(join(moved, "package.json")), platform), "bin/bun");
  return existsSync(own) ? own : join(moved, "bin/bun.exe");
}

test("edge-runtime", { skip }, async () => {
  const edge = new EdgeRuntime({ initialCode: await bundle("worker", "iife") });
  const response = await edge.dispatchFetch(address("edge"));
  assert.deepEqual(JSON.parse(await response.text()), expected);
});

test("workerd", { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "restis-workerd-"));
  writeFileSync(join(directory, "worker.js"), await bundle("worker", "esm"));
  writeFileSync(join(directory, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker.js", esModule = embed "worker.js")], compatibilityDate = "2025-09-01")),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`);
  const workerd = (require("workerd") as { default: string }).default;
  const child = spawn(workerd, ["serve", join(directory, "config.capnp"), "--control-fd=3"], { stdio: ["ignore", "inherit", "inherit", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`workerd ended with ${code}`)));
      child.stdio[3]!.once("data", (line: Buffer) => resolve(JSON.parse(String(line).split("\n")[0]!).port));
    });
    const response = await fetch(address("workerd").replace("worker", `127.0.0.1:${port}`));
    assert.deepEqual(JSON.parse(await response.text()), expected);
  } finally {
    child.kill();
    await exited;
    rmSync(directory, { recursive: true });
  }
});

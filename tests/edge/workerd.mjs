// Starts programs and waits until they serve: workerd with one worker, `restis serve`, `app`.
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const kinds = { ".wasm": "wasm", ".mjs": "esModule", ".js": "esModule" };
const quoted = (text) => JSON.stringify(String(text));

/**
 * Runs a worker. Each file is a module, the first its entry; `[name, file]` names one with a folder.
 * `bindings` are texts by name. Its address is of loopback, and so may be those it calls.
 */
export async function startWorkerd(files, { bindings = {}, flags = [] } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "restis-workerd-"));
  const modules = files.map((given) => {
    const [name, file] = Array.isArray(given) ? given : [basename(given), given];
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    copyFileSync(file, join(dir, name));
    return `(name = ${quoted(name)}, ${kinds[name.slice(name.lastIndexOf("."))]} = embed ${quoted(name)})`;
  });
  const texts = Object.entries(bindings).map(([name, text]) => `(name = ${quoted(name)}, text = ${quoted(text)})`);
  writeFileSync(join(dir, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${modules.join(", ")}],
      compatibilityDate = "2026-09-01",
      compatibilityFlags = [${flags.map(quoted).join(", ")}],
      bindings = [${texts.join(", ")}])),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`);
  const bin = join(import.meta.dirname, "node_modules", ".bin", "workerd");
  const child = spawn(bin, ["serve", "--control-fd=3", join(dir, "config.capnp")], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  let log = "";
  child.stdout.on("data", (text) => { log += text; });
  child.stderr.on("data", (text) => { log += text; });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const port = await new Promise((resolve, reject) => {
    let text = "";
    child.stdio[3].on("data", (data) => {
      text += data;
      for (const line of text.split("\n").slice(0, -1)) {
        const event = JSON.parse(line);
        if (event.event === "listen") resolve(event.port);
      }
    });
    ended.then((code) => reject(new Error(`workerd ended with ${code}: ${log}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    log: () => log,
    async stop() {
      // Asked politely it waits for requests that nobody answers.
      child.kill("SIGKILL");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Runs `restis serve` over an empty store with the token TOKEN. */
export async function startRestis(bin, ...more) {
  const child = spawn(bin, ["serve", "--addr", "127.0.0.1:0", "--token", "TOKEN", ...more], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
      if (found) resolve(found[0]);
    });
    ended.then((code) => reject(new Error(`restis ended with ${code}`)));
  });
  return { url, async stop() { child.kill(); await ended; } };
}

/** The native program `app` on a port of its own. */
export async function startApp(bin, env) {
  const child = spawn(bin, { env: { PATH: process.env.PATH, PORT: "0", HOST: "127.0.0.1", RUST_LOG: "info", ...env }, stdio: ["ignore", "ignore", "pipe"], cwd: tmpdir() });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    let text = "";
    child.stderr.on("data", (data) => {
      text += data;
      const found = /address=(127\.0\.0\.1:\d+)/.exec(text);
      if (found) resolve(`http://${found[1]}`);
    });
    ended.then((code) => reject(new Error(`app ended with ${code}: ${text}`)));
  });
  return { url, fetch: (path, init) => fetch(url + path, init), async stop() { child.kill(); await ended; } };
}

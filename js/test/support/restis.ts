// `restis dev` on free ports, ended by its pid.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const binary = process.env.RESTIS_BIN ?? fileURLToPath(new URL("../../../target/debug/restis", import.meta.url));

/** Why the tests that need the program are skipped; under CI they fail instead. */
export const skip = existsSync(binary) || process.env.CI ? false : `no ${binary}: cargo build --package restis-cli`;

export interface Restis {
  /** Where the functions are. */
  url: string;
  /** A service token with all scopes. */
  token: string;
  /** The store's REST address and token. */
  store: { url: string; token: string };
  port: number;
  process: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface Options {
  env?: Record<string, string>;
  /** More arguments; `--functions-addr` and `--addr` take free ports unless they are among these. */
  args?: string[];
  /** Keeps data and secrets in this directory, for a start after this one. */
  directory?: string;
}

/** Starts the program and reads its addresses from what it prints. */
export async function startRestis({ env = {}, args = [], directory }: Options = {}): Promise<Restis> {
  const free = ["--addr", "--functions-addr"].filter((name) => !args.includes(name)).flatMap((name) => [name, "127.0.0.1:0"]);
  const child = spawn(binary, ["dev", ...(directory ? [] : ["--ephemeral"]), ...free, "--resp", "off", ...args], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { banner, stop } = await started(child);
  const find = (pattern: RegExp) => pattern.exec(banner)?.[1] ?? "";
  const url = find(/functions\s+(http:\S+)/);
  return {
    url,
    token: find(/RESTIS_SERVICE_TOKEN=(\S+)/),
    store: { url: find(/REST_URL=(\S+)/), token: find(/REST_TOKEN=(\S+)/) },
    port: Number(new URL(url).port),
    process: child,
    stop,
  };
}

/** `restis serve` alone, as a Redis that keeps its data in a directory. */
export interface RedisStore {
  /** `redis://…`, for `--redis`. */
  url: string;
  port: number;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export async function startRedisStore(directory: string, port = 0): Promise<RedisStore> {
  const args = ["serve", "--addr", "127.0.0.1:0", "--resp", `127.0.0.1:${port}`, "--token", "sesame", "--data", directory, "--sync", "always"];
  const { banner, stop } = await started(spawn(binary, args, { stdio: ["ignore", "pipe", "inherit"] }));
  const url = /REDIS_URL=(\S+)/.exec(banner)?.[1] ?? "";
  return { url, port: Number(new URL(url).port), stop };
}

/** Waits until the program has printed what it serves. */
async function started(child: ChildProcess): Promise<{ banner: string; stop(signal?: NodeJS.Signals): Promise<void> }> {
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const banner = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`restis ended with ${code}: ${text}`)));
    child.stdout!.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      if (text.includes("Ctrl-C stops.")) resolve(text);
    });
  });
  return {
    banner,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await exited;
    },
  };
}

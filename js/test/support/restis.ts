// `restis dev` on free ports, ended by its pid.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const binary = process.env.RESTIS_BIN ?? fileURLToPath(new URL("../../../target/debug/restis", import.meta.url));

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
}

/** Starts the program and reads its addresses from what it prints. */
export async function startRestis({ env = {}, args = [] }: Options = {}): Promise<Restis> {
  const free = ["--addr", "--functions-addr"].filter((name) => !args.includes(name)).flatMap((name) => [name, "127.0.0.1:0"]);
  const child = spawn(binary, ["dev", "--ephemeral", ...free, "--resp", "off", ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const banner = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`restis dev ended with ${code}: ${text}`)));
    child.stdout.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      if (text.includes("Ctrl-C stops.")) resolve(text);
    });
  });
  const find = (pattern: RegExp) => pattern.exec(banner)?.[1] ?? "";
  const url = find(/functions\s+(http:\S+)/);
  return {
    url,
    token: find(/#token=(\S+)/),
    store: { url: find(/REST_URL=(\S+)/), token: find(/REST_TOKEN=(\S+)/) },
    port: Number(new URL(url).port),
    process: child,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await exited;
    },
  };
}

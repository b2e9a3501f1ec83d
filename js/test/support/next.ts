// An application of Next.js, that of `test/next-app` unless another one is named: built once, started as often as a test wants.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const testApp = fileURLToPath(new URL("../../test/next-app", import.meta.url));
/** The Next.js of the application. */
const program = (directory: string) => createRequire(`${directory}/package.json`).resolve("next/dist/bin/next");

export interface NextServer {
  url: string;
  stop(): Promise<void>;
}

export async function buildNext(env: Record<string, string>, directory = testApp): Promise<void> {
  const options = { cwd: directory, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", ...env } };
  await promisify(execFile)(process.execPath, [program(directory), "build"], options).catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  });
}

export async function startNext(env: Record<string, string>, directory = testApp): Promise<NextServer> {
  const child = spawn(process.execPath, [program(directory), "start", "--port", "0", "--hostname", "127.0.0.1"], {
    cwd: directory,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", ...env },
    stdio: ["ignore", "pipe", process.env.RESTIS_SHOW ? "inherit" : "ignore"],
  });
  const exited = once(child, "exit");
  const url = await new Promise<string>((resolve, reject) => {
    let text = "";
    void exited.then(([code]) => reject(new Error(`next start ended with ${code}: ${text}`)));
    child.stdout!.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
      if (found && text.includes("Ready")) resolve(found[0]);
    });
  });
  return {
    url,
    async stop() {
      child.kill();
      await exited;
    },
  };
}

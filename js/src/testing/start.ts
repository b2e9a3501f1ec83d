import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findProgram, missingProgram } from "../program.js";

/** A started program and the variables that lead to it. */
export interface Started {
  env: Record<string, string>;
  stop(): Promise<void>;
}

const keeper = fileURLToPath(new URL("keeper.js", import.meta.url));

/** `restis run`: a store alone, which begins with the commands of `seed`. */
export async function startStore(seed: string | undefined): Promise<Started> {
  const args = ["run", ...(seed === undefined ? [] : ["--seed", seed]), "--", process.execPath, keeper];
  return start(program(), args, {}, (text) => (text.includes("\n") ? (JSON.parse(text) as Record<string, string>) : undefined));
}

/** `restis dev`: a store and the functions. */
export async function startFunctions(env: Record<string, string>): Promise<Started> {
  const args = [keeper, program(), "dev", "--ephemeral", "--addr", "127.0.0.1:0", "--functions-addr", "127.0.0.1:0", "--resp", "off"];
  return start(process.execPath, args, env, (text) =>
    text.includes("Ctrl-C stops.") ? Object.fromEntries([...text.matchAll(/\b([A-Z][A-Z_]+)=(\S+)/g)].map(([, name = "", value = ""]) => [name, value])) : undefined,
  );
}

function program(): string {
  const found = findProgram();
  if (!found) throw new Error(missingProgram);
  return found;
}

/** Starts it and waits until `read` finds the variables in what it prints. */
function start(file: string, args: string[], env: Record<string, string>, read: (text: string) => Record<string, string> | undefined): Promise<Started> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    const exited = new Promise<void>((end) => child.once("exit", () => end()));
    let [text, errors] = ["", ""];
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}: ${errors || text}`)));
    child.stderr.setEncoding("utf8").on("data", (more: string) => {
      errors = (errors + more).slice(-4_000);
    });
    child.stdout.setEncoding("utf8").on("data", (more: string) => {
      text = (text + more).slice(-8_000);
      const found = read(text);
      if (!found) return;
      resolve({
        env: found,
        async stop() {
          // It ends when its input does.
          child.stdin.end();
          await exited;
        },
      });
    });
  });
}

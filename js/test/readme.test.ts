// The README's code compiles.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const cwd = fileURLToPath(new URL("..", import.meta.url));

test("the README's snippets compile", async () => {
  const directory = `${cwd}/.test/readme`;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const snippets = readFileSync(`${cwd}/README.md`, "utf8").matchAll(/^```(tsx?)\n(.*?)^```/gms);
  let count = 0;
  for (const [, language, code] of snippets) writeFileSync(`${directory}/snippet${++count}.${language}`, code ?? "");
  writeFileSync(
    `${directory}/tsconfig.json`,
    JSON.stringify({ extends: "../../tsconfig.json", compilerOptions: { noEmit: true, rootDir: ".", noUnusedLocals: false }, include: ["."] }),
  );
  await promisify(execFile)("npx", ["tsc", "-p", directory], { cwd }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
});

// The package as npm would publish it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const cwd = fileURLToPath(new URL("..", import.meta.url));

test("types resolve as ESM for every entry (attw)", async () => {
  await run("npx", ["attw", "--profile", "esm-only", "--pack", "."], { cwd });
});

test("package.json is right for every tool (publint)", async () => {
  await run("npx", ["publint", "--strict"], { cwd });
});

test("there is no dependency, and the lockfile names no registry", () => {
  const { dependencies, sideEffects } = JSON.parse(readFileSync(`${cwd}/package.json`, "utf8"));
  assert.equal(dependencies, undefined);
  assert.equal(sideEffects, false);
  assert.doesNotMatch(readFileSync(`${cwd}/package-lock.json`, "utf8"), /"resolved"/);
});

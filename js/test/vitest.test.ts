// `restis/vitest` and `restis/msw` in vitest: `test/vitest` has the tests that it runs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { binary, skip } from "./support/restis.js";

const directory = fileURLToPath(new URL("../test/vitest", import.meta.url));
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { message: string; assertionResults: { fullName: string; status: string; failureMessages: string[] }[] }[];
}

function run(program: string, args: string[], env: Record<string, string>): Promise<{ report: Report; text: string }> {
  const options = { cwd: directory, env: { ...process.env, NODE_OPTIONS: "", ...env }, maxBuffer: 1 << 26 };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (_, stdout, stderr) => {
      try {
        resolve({ report: JSON.parse(stdout.slice(stdout.indexOf('{"'))), text: stdout + stderr });
      } catch {
        reject(new Error(stdout + stderr));
      }
    });
  });
}

function allPass({ report, text }: { report: Report; text: string }, count: number): void {
  assert.equal(report.numFailedTests, 0, text);
  assert.equal(report.numPassedTests, count, text);
}

test("a test file has a store of its own, whose state and time a test says", { skip }, async () => {
  allPass(await run(process.execPath, [vitest, "run", "store", "functions"], { RESTIS_BIN: binary }), 7);
});

test("a store that runs already serves as well", { skip }, async () => {
  allPass(await run(binary, ["run", "--", process.execPath, vitest, "run", "running"], {}), 2);
});

test("MSW answers in place of the functions", async () => {
  allPass(await run(process.execPath, [vitest, "run", "msw"], {}), 4);
});

test("without the program the file fails, and says what to do", async () => {
  const { report } = await run(process.execPath, [vitest, "run", "store"], { RESTIS_BIN: "", PATH: "" });
  assert.equal(report.numPassedTests, 0);
  assert.match(JSON.stringify(report), /the program restis is not here: npm install --save-dev @restis/);
});

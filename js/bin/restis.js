#!/usr/bin/env node
// `npx restis …`: runs the program of this platform.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { findProgram, missingProgram } from "../dist/program.js";

const program = findProgram();
if (!program) {
  console.error(missingProgram);
  process.exit(127);
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// What is sent to this process is handed on; a terminal sends Ctrl-C to both by itself.
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
child.on("error", (error) => {
  console.error(`${program} cannot be run: ${error.message}`);
  process.exitCode = 126;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + constants.signals[signal];
});

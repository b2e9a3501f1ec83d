// A process that ends with the one that started it, which holds its standard input: with arguments it
// runs them as a program, without it prints the variables that `restis run` gave it.
import { spawn } from "node:child_process";
import { STORE_VARIABLES } from "./variables.js";

const [program, ...args] = process.argv.slice(2);
const child = program ? spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] }) : undefined;
if (child) child.on("exit", (code) => process.exit(code ?? 1));
else console.log(JSON.stringify(Object.fromEntries(STORE_VARIABLES.map((name) => [name, process.env[name]]))));
process.stdin.resume().on("end", () => (child ? child.kill() : process.exit()));

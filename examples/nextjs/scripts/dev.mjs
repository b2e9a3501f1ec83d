// `npm run dev`: the store, the functions and the site. With API_URL the site alone.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const site = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const children = [];

/** Limits of the functions, by name; in production RATE_LIMIT_POLICIES of the functions has them. */
const RATE_LIMIT_POLICIES = JSON.stringify({
  default: { algorithm: "sliding-window", limit: 100, window: "1m" },
  login: { algorithm: "sliding-window", limit: 10, window: "1m" },
  contact: { algorithm: "fixed-window", limit: 2, window: "20s" },
});

function stop(code) {
  process.exitCode ??= code;
  for (const child of children) child.kill();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop(0));

function start(program, args, options) {
  const child = spawn(program, args, { cwd: site, ...options });
  children.push(child);
  child.on("exit", (code) => stop(code ?? 1));
  return child;
}

/** Starts `restis dev` and gives the variables that it prints. */
function startStore() {
  const launcher = join(dirname(require.resolve("restis/package.json")), "bin/restis.js");
  // A copy of this repository has the program where cargo puts it.
  const built = ["release", "debug"].map((profile) => join(site, "../../target", profile, "restis")).find(existsSync);
  const env = { RATE_LIMIT_POLICIES, ...process.env, ...(built && { RESTIS_BIN: process.env.RESTIS_BIN ?? built }) };
  const child = start(process.execPath, [launcher, "dev"], { env, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (more) => {
      process.stdout.write(more);
      text += more;
      if (!text.includes("Ctrl-C stops.")) return;
      resolve(Object.fromEntries([...text.matchAll(/\b([A-Z_]+)=(\S+)/g)].map(([, name, value]) => [name, value])));
    });
  });
}

if (!existsSync(join(site, "node_modules/restis/dist"))) {
  console.error("The packages are not installed: npm --prefix ../../js ci && npm install");
  process.exit(1);
}
const made = process.env.API_URL ? {} : await startStore();
start(process.execPath, [require.resolve("next/dist/bin/next"), "dev", ...process.argv.slice(2)], { env: { ...process.env, ...made }, stdio: "inherit" });

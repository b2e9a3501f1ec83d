// The package as npm would publish it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { install, pack, project, root, run, type Project } from "./support/packed.js";
import { binary, skip } from "./support/restis.js";

const manifest = () => JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

test("types resolve as ESM for every entry (attw)", async () => {
  await run("npx", ["attw", "--profile", "esm-only", "--pack", "."], { cwd: root });
});

test("package.json is right for every tool (publint)", async () => {
  await run("npx", ["publint", "--strict"], { cwd: root });
});

test("there is no dependency, and the lockfile names no registry", () => {
  const { dependencies, sideEffects } = manifest();
  assert.equal(dependencies, undefined);
  assert.equal(sideEffects, false);
  assert.doesNotMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved"/);
});

test("the version is that of the crates", () => {
  const cargo = readFileSync(join(root, "../Cargo.toml"), "utf8");
  assert.equal(manifest().version, /\[workspace\.package\][^[]*?\nversion = "(.*?)"/.exec(cargo)?.[1]);
});

const staged = project("staged");
const user = project("user");
after(() => {
  staged.remove();
  user.remove();
});

/** What users get: the package and that of their platform, installed into an empty project. */
before(async () => {
  const [main, platform] = [join(staged.directory, "restis"), join(staged.directory, "platform")];
  await run(process.execPath, ["scripts/stage.mjs", main], { cwd: root });
  writeFileSync(join(user.directory, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  const packages: Record<string, string> = { restis: await pack(staged.directory, main) };
  if (!skip) {
    // The debug build without its symbols: that is large enough.
    const program = join(staged.directory, "program");
    await run("strip", ["-o", program, binary]);
    await run(process.execPath, ["scripts/platform.mjs", `${process.platform}-${process.arch}`, program, platform], { cwd: root });
    packages[`@restis/${process.platform}-${process.arch}`] = await pack(staged.directory, platform);
  }
  await install(user, packages);
});

/** Runs code in the user's project. */
async function inProject(of: Project, code: string): Promise<string> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", code], { cwd: of.directory });
  return stdout.trim();
}

test("npm publish has nothing to correct or to warn of, for the package and that of a platform", { skip }, async () => {
  for (const name of ["restis", "platform"]) {
    const { stderr } = await run("npm", ["publish", "--dry-run"], { cwd: join(staged.directory, name) });
    // Who only tries is not logged in.
    const warnings = stderr.split("\n").filter((line) => /npm (warn|error)/i.test(line) && !line.includes("logged in"));
    assert.deepEqual(warnings, []);
    assert.match(stderr, /LICENSE-MIT/);
  }
});

test("provenance can be shown: the repository and the folder of the sources are named", () => {
  const { repository, license } = JSON.parse(readFileSync(join(staged.directory, "restis/package.json"), "utf8"));
  const cargo = readFileSync(join(root, "../Cargo.toml"), "utf8");
  const named = /\nrepository = "(.*?)"/.exec(cargo)?.[1];
  assert.deepEqual(repository, { type: "git", url: `git+${named}.git`, directory: "js" });
  assert.equal(license, "MIT OR Apache-2.0");
});

test("what is installed works without a peer: the client, streams, outboxes, the cache handler", async () => {
  const code = `
    import { createClient, isRestisError } from "restis";
    import { EventStream, Outbox } from "restis/browser";
    import cache, { tagOf } from "restis/next/cache";
    const error = await createClient({ url: "http://127.0.0.1:1", retries: 0 }).health().catch((error) => error);
    console.log(isRestisError(error) && error.code, typeof EventStream, typeof Outbox, typeof cache.get, tagOf("a:{b}", "c"));
  `;
  assert.match(await inProject(user, code), /^network function function function a:/);
});

test("its entries are those of package.json, and each file that it names is there", async () => {
  const names = Object.keys(manifest().exports).filter((name) => name !== "./package.json");
  const code = `
    import { existsSync } from "node:fs";
    import { fileURLToPath } from "node:url";
    for (const name of ${JSON.stringify(names)}) {
      const file = fileURLToPath(import.meta.resolve(name.replace(".", "restis")));
      if (!existsSync(file) || !existsSync(file.replace(/js$/, "d.ts"))) console.log("missing", file);
    }
  `;
  assert.equal(await inProject(user, code), "");
  assert.ok(names.length >= 10);
});

test("npx restis runs the program of the platform's package, with its exit code and signals", { skip }, async () => {
  const options = { cwd: user.directory, env: { ...process.env, RESTIS_BIN: "" } };
  const { stdout } = await run("npx", ["--no-install", "restis", "--version"], options);
  assert.equal(stdout, `restis ${manifest().version}\n`);
  const inside = ["--no-install", "restis", "run", "--", process.execPath, "--eval", "process.exit(process.env.UPSTASH_REDIS_REST_URL ? 7 : 1)"];
  const failed = await run("npx", inside, options).catch((error: { code: number }) => error.code);
  assert.equal(failed, 7);
  const launcher = join(user.directory, "node_modules/restis/bin/restis.js");
  const child = execFile(process.execPath, [launcher, "dev", "--ephemeral", "--addr", "127.0.0.1:0", "--functions-addr", "127.0.0.1:0", "--resp", "off"], options);
  let text = "";
  for await (const part of child.stdout!) {
    text += part;
    if (text.includes("Ctrl-C stops.")) break;
  }
  const url = /API_URL=(\S+)/.exec(text)?.[1];
  assert.equal((await fetch(`${url}/api/health`)).status, 200);
  child.kill();
  assert.deepEqual(await once(child, "exit"), [0, null]);
  await assert.rejects(fetch(`${url}/api/health`));
});

test("without a program npx restis says what to do", async () => {
  const options = { cwd: staged.directory, env: { RESTIS_BIN: "", PATH: "" } };
  const error = await run(process.execPath, [join(staged.directory, "restis/bin/restis.js"), "dev"], options).catch((error: { code: number; stderr: string }) => error);
  assert.deepEqual("code" in error && [error.code, /npm install --save-dev @restis\//.test(error.stderr)], [127, true]);
});

// Makes the npm package that has the program for one platform:
//
//   cargo build --release --package restis-cli
//   node scripts/platform.mjs linux-x64 ../target/release/restis .publish/linux-x64
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { licences, platforms, published, root } from "./published.mjs";

const [platform, binary, out] = process.argv.slice(2);
if (!platforms.includes(platform) || !binary || !out) {
  console.error(`usage: node scripts/platform.mjs ${platforms.join("|")} BINARY DIRECTORY`);
  process.exit(2);
}
const [os, cpu] = platform.split("-");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
copyFileSync(binary, join(out, "restis"));
chmodSync(join(out, "restis"), 0o755);
for (const name of licences) copyFileSync(join(root, "..", name), join(out, name));
// One that is linked with glibc does not start where there is musl.
const libc = readFileSync(binary).includes("ld-linux-") ? { libc: ["glibc"] } : {};
const { version, license, repository } = published;
const description = `The program restis for ${platform}; install the package restis`;
const made = { name: `@restis/${platform}`, version, description, license, repository, os: [os], cpu: [cpu], ...libc, files: ["restis", ...licences], publishConfig: { access: "public" } };
writeFileSync(join(out, "package.json"), `${JSON.stringify(made, null, 2)}\n`);
writeFileSync(join(out, "README.md"), `# @restis/${platform}\n\nThe program \`restis\` for ${platform}, which the npm package [restis](https://www.npmjs.com/package/restis) runs as \`npx restis\`.\n`);

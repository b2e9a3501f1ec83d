// Makes the package as it is published: built, without what only development needs, and with the
// packages that have the program. `npm run build` goes before.
//
//   node scripts/stage.mjs .publish/restis
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { licences, platforms, published, root } from "./published.mjs";

const [out] = process.argv.slice(2);
if (!out) {
  console.error("usage: node scripts/stage.mjs DIRECTORY");
  process.exit(2);
}
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const name of published.files) cpSync(join(root, name), join(out, name), { recursive: true });
for (const name of licences) copyFileSync(join(root, "..", name), join(out, name));
const { devDependencies, scripts, ...made } = published;
const optionalDependencies = Object.fromEntries(platforms.map((platform) => [`@restis/${platform}`, published.version]));
const files = [...published.files, ...licences];
writeFileSync(join(out, "package.json"), `${JSON.stringify({ ...made, files, optionalDependencies, publishConfig: { access: "public" } }, null, 2)}\n`);

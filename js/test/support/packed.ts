// The package as npm would publish it, and projects that install it.
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const run = promisify(execFile);
export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Project {
  directory: string;
  remove(): void;
}

/** An empty directory, or a copy of one without what is installed and built there. */
export function project(name: string, from?: string): Project {
  const directory = mkdtempSync(join(tmpdir(), `restis-${name}-`));
  const made = /^(node_modules|\.next|\.restis|next-env\.d\.ts|package-lock\.json)$/;
  if (from) cpSync(from, directory, { recursive: true, filter: (path) => !made.test(basename(path)) });
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Packs the package into a directory; gives the tarball's path. */
export async function pack(directory: string, from = root): Promise<string> {
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], { cwd: from });
  return join(directory, JSON.parse(stdout)[0].filename);
}

/** Installs what a project needs, with these packages for the dependencies of their names. */
export async function install({ directory }: Project, packages: Record<string, string> = {}): Promise<void> {
  const file = join(directory, "package.json");
  const description = JSON.parse(readFileSync(file, "utf8"));
  for (const [name, path] of Object.entries(packages)) description.dependencies = { ...description.dependencies, [name]: `file:${path}` };
  writeFileSync(file, JSON.stringify(description));
  await run("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline"], { cwd: directory });
}

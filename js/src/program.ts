import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";

/** The package that has the program for this machine. */
export const platformPackage = `@restis/${process.platform}-${process.arch}`;

/** What to do where there is none. */
export const missingProgram = `the program restis is not here: npm install --save-dev ${platformPackage}, or cargo install restis-cli, or name it in RESTIS_BIN`;

/**
 * The program `restis`: that of `RESTIS_BIN`, of the platform's npm package, or the one on `PATH`.
 * `from` is a file whose packages are asked too.
 */
export function findProgram(from = import.meta.url, env = process.env): string | undefined {
  if (env.RESTIS_BIN) return env.RESTIS_BIN;
  for (const place of new Set([from, import.meta.url])) {
    try {
      return createRequire(place).resolve(`${platformPackage}/restis`);
    } catch {
      // Not installed there.
    }
  }
  const places = (env.PATH ?? "").split(delimiter).filter(Boolean);
  return places.map((place) => join(place, "restis")).find(isProgram);
}

/** Whether it can be run, and is not a script of a package: that would be the one that searches. */
function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() && !/[\\/]node_modules[\\/]|\.js$/.test(realpathSync(path));
  } catch {
    return false;
  }
}

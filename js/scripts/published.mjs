// What the published packages have in common.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Platforms of the program, as `process.platform` and `process.arch` name them. */
export const platforms = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

export const licences = ["LICENSE-MIT", "LICENSE-APACHE"];

export const published = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

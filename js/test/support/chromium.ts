// A real Chromium; a missing one is a failure under CI.
import { execFileSync } from "node:child_process";
import { chromium, type Browser } from "playwright-core";

function find(): string | undefined {
  const name = process.env.CHROMIUM ?? "chromium";
  try {
    return execFileSync("which", [name], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

const executablePath = find();
export const skipBrowser = executablePath || process.env.CI ? false : "no chromium";

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: executablePath ?? "chromium", args: ["--no-sandbox", "--disable-gpu"] });

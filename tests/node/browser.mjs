// A headless Chromium, driven over a pipe by the DevTools protocol; no package needed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A page that does not get there is given up. */
const LIMIT_MS = 300_000;

/** Opens a page, runs `use(page)` and ends the browser. */
export async function withPage(use, limitMs = LIMIT_MS) {
  const profile = mkdtempSync(join(tmpdir(), "restis-browser-"));
  const browser = spawn(process.env.CHROMIUM ?? "chromium", [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
  ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => browser.once("exit", resolve));
  const limit = setTimeout(() => browser.kill(), limitMs);
  const waiting = new Map();
  const problems = [];
  let last = 0;
  let rest = "";
  let asked = "";
  browser.stdio[4].setEncoding("utf8").on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const message of messages.map((one) => JSON.parse(one))) {
      if (message.id) {
        const { resolve, reject } = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.error) reject(new Error(message.error.message)); else resolve(message.result);
      } else if (message.method === "Runtime.exceptionThrown") {
        problems.push(message.params.exceptionDetails.exception?.description ?? message.params.exceptionDetails.text);
      } else if (message.method === "Log.entryAdded" && message.params.entry.level === "error" && message.params.entry.source !== "network") {
        problems.push(message.params.entry.text);
      }
    }
  });
  const died = ended.then((code) => { throw new Error(`the browser ended with ${code}; the last that was asked of it: ${asked}`); });
  died.catch(() => {});
  const call = (method, params = {}, sessionId) => Promise.race([died, new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    asked = (params.expression ?? method).slice(0, 600);
    browser.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  })]);
  try {
    const { targetId } = await call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
    const send = (method, params) => call(method, params, sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`);
    /** Runs a function in the page; `until(condition)` there waits for what the condition returns. */
    const run = async (action, ...args) => {
      const until = `async (condition) => { for (;;) { const value = await condition(); if (value) return value; await new Promise(requestAnimationFrame); } }`;
      const expression = `(${action})(${[...args.map((arg) => JSON.stringify(arg)), until].join(", ")})`;
      const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    await use({
      problems,
      send,
      run,
      browser: call,
      goto: (url) => send("Page.navigate", { url }),
      /** Waits for a condition of the page, or of the one that takes its place. */
      async wait(condition, ...args) {
        for (;;) {
          try {
            return await run(`async (args, until) => until(() => (${condition})(...args))`, args);
          } catch (error) {
            if (!/navigated or closed|context was destroyed/.test(error.message)) throw error;
          }
        }
      },
    });
  } finally {
    clearTimeout(limit);
    browser.kill();
    await ended;
    // Its other processes end a little later, and write until then.
    for (let left = 100; ; left -= 1) {
      try {
        rmSync(profile, { recursive: true, force: true });
        break;
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}

// The console of `restis dev` in a real browser: node console.mjs 'http://127.0.0.1:3030/#token=TOKEN' [DIRECTORY for pictures]
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { withPage } from "./browser.mjs";

const [address, pictures] = process.argv.slice(2);
const { origin } = new URL(address);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HOSTILE = `<img src=x onerror="document.title='run'">"'\u0000`;

await withPage(async (page) => {
  const go = async (hash, ready) => {
    await page.run((hash) => { location.hash = hash; }, hash);
    await page.wait(ready);
  };
  /** Nothing of WCAG 2.1 A and AA, in light and in dark. */
  const checkAccess = async (name) => {
    for (const theme of ["light", "dark"]) {
      const found = await page.run(async (source, theme) => {
        if (!globalThis.axe) (0, eval)(source);
        document.documentElement.dataset.theme = theme;
        await new Promise(requestAnimationFrame);
        const { violations } = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      }, AXE, theme);
      assert.deepEqual(found, [], `${name} in ${theme}`);
      for (const [size, width, height] of [["", 1280, 860], ["-phone", 390, 844]]) {
        if (!pictures) continue;
        await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: size !== "" });
        const { data } = await page.send("Page.captureScreenshot", { format: "png" });
        writeFileSync(join(pictures, `${name}-${theme}${size}.png`), Buffer.from(data, "base64"));
      }
    }
    await page.send("Emulation.clearDeviceMetricsOverride");
  };
  const type = (selector, text) => page.run((selector, text) => {
    const input = document.querySelector(selector);
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }, selector, text);
  const enter = async (line) => {
    const before = await page.run(() => document.querySelectorAll(".entry").length);
    await type("#line", line);
    await page.run(() => document.querySelector(".prompt").requestSubmit());
    await page.wait((before) => document.querySelectorAll(".entry").length > before, before);
    return page.run(() => document.querySelector(".entry pre").textContent);
  };

  if (pictures) mkdirSync(pictures, { recursive: true });
  // eval, for axe alone.
  await page.send("Page.setBypassCSP", { enabled: true });
  // Without the link there is nothing to see.
  await page.goto(origin);
  await page.wait(() => document.querySelector(".locked") !== null);
  await checkAccess("locked");

  await page.goto("about:blank");
  await page.goto(address);
  await page.wait(() => document.querySelector("nav") !== null);
  assert.equal(await page.run(() => location.href.includes("token")), false, "the token stays in the address");
  await page.goto(`${origin}/`);
  await page.wait(() => document.querySelector("nav") !== null);
  await checkAccess("start");

  // The first request arrives while the page is open.
  await go("#/start", () => document.querySelector(".wait") !== null);
  const curl = await page.run(() => document.querySelector(".code pre").textContent);
  const [, url, header] = /^curl (\S+) -H '(.*)'$/.exec(curl);
  await fetch(url, { headers: { authorization: header.split(": ")[1] } });
  await page.wait(() => document.querySelector(".arrived")?.textContent.includes("hello"));

  await go("#/commands", () => document.querySelector("#line") !== null);
  assert.equal(await enter("GET greeting"), '"hello"');
  assert.equal(await enter('SET bytes "a\\xffb"'), '"OK"');
  assert.equal(await enter("GET bytes"), '"a\\xffb"');
  assert.equal(await enter("LPUSH list a b"), "(integer) 2");
  assert.equal(await enter("LRANGE list 0 -1"), '1) "b"\n2) "a"');
  assert.match(await enter("NOSUCH"), /^\(error\) ERR /);
  await enter(`SET hostile "${HOSTILE.replaceAll('"', '\\"').replaceAll("\u0000", "\\x00")}"`);
  assert.match(await enter("GET hostile"), /onerror/);
  assert.notEqual(await page.run(() => document.title), "run");
  await checkAccess("commands");

  assert.deepEqual(page.problems, []);
});

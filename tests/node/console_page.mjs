// What the tests of the console do with its page.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What it does with a page; each view that is checked is drawn into the directory of RESTIS_PICTURES. */
export function steps(page, pictures = process.env.RESTIS_PICTURES) {
  if (pictures) mkdirSync(pictures, { recursive: true });
  const go = async (hash, ready, ...args) => {
    await page.run((hash) => { location.hash = hash; }, hash);
    await page.wait(ready, ...args);
  };
  /** Writes into the field that a selector finds. */
  const type = (selector, text) => page.run((selector, text) => {
    const input = document.querySelector(selector);
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }, selector, text);
  /** Writes into the field of a name. */
  const fill = (label, value) => page.run((label, value) => {
    const found = [...document.querySelectorAll("main label, main input, main textarea, main select")].find((one) => (one.getAttribute("aria-label") ?? one.textContent.trim()) === label);
    if (!found) throw new Error(`no field ${label}`);
    const field = found.matches("label") ? found.control : found;
    field.value = value;
    field.dispatchEvent(new Event(field.matches("select") ? "change" : "input", { bubbles: true }));
  }, label, value);
  /** Presses the button of a name. */
  const button = (name, within) => [...document.querySelectorAll(`${within} button`)].find((one) => (one.getAttribute("aria-label") ?? one.textContent.trim()) === name);
  /** Clicks a button, once it is there. */
  const press = async (name, within = "main") => {
    await page.wait(`(name, within) => (${button})(name, within) !== undefined`, name, within);
    await page.run(`(name, within) => (${button})(name, within).click()`, name, within);
  };
  const says = (text, selector = "body") => page.wait((text, selector) => document.querySelector(selector)?.textContent.includes(text), text, selector);
  /** Nothing of WCAG 2.1 A and AA, in light and in dark; nothing sticks out of a phone's screen. */
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
      for (const [size, width, height] of [["-phone", 390, 844], ["", 1280, 860]]) {
        if (!pictures && size === "") continue;
        await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: size !== "" });
        if (size !== "") assert.ok(await page.run((width) => document.documentElement.scrollWidth <= width, width), `${name} sticks out of a phone's screen`);
        if (!pictures) continue;
        const { data } = await page.send("Page.captureScreenshot", { format: "png" });
        writeFileSync(join(pictures, `${name}-${theme}${size}.png`), Buffer.from(data, "base64"));
      }
    }
    await page.send("Emulation.clearDeviceMetricsOverride");
  };
  return { go, type, fill, press, says, checkAccess };
}

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

  // Data: every type is shown, what is stored is never run as a page, edits land.
  const authorization = header.split(": ")[1];
  const store = async (...args) => {
    const response = await fetch(new URL(url).origin, { method: "POST", headers: { authorization }, body: JSON.stringify(args) });
    const body = await response.json();
    if (body.error) throw new Error(body.error);
    return body.result;
  };
  const MARKUP = "<img src=x onerror=document.title='run'>";
  await store("FLUSHALL");
  await store("HSET", "user:1", "name", MARKUP, MARKUP, "v");
  await store("RPUSH", "list:1", MARKUP, "b");
  await store("SADD", "set:1", MARKUP);
  await store("ZADD", "zset:1", "1.5", MARKUP);
  await store("XADD", "stream:1", "*", MARKUP, MARKUP);
  await store("XGROUP", "CREATE", "stream:1", MARKUP, "0");
  await store("JSON.SET", "json:1", "$", JSON.stringify({ [MARKUP]: [MARKUP, 1, null, { deep: true }] }));
  await store("SET", `${MARKUP}:${MARKUP}`, MARKUP, "EX", "1000");
  await store("SET", "plain", "one\ntwo");
  await store("PFADD", "sketch", "a", "b");
  const text = (selector) => page.run((selector) => document.querySelector(selector)?.textContent ?? "", selector);
  const shows = (part) => page.wait((part) => document.querySelector(".value-pane")?.textContent.includes(part), part);
  for (const key of ["user:1", "list:1", "set:1", "zset:1", "stream:1", "json:1", `${MARKUP}:${MARKUP}`]) {
    await go(`#/data?${new URLSearchParams({ key })}`, () => document.querySelector(".value-pane") !== null);
    await shows(MARKUP);
    await checkAccess(`data-${key.split(":")[0].replaceAll(/\W/g, "")}`);
  }
  await go("#/data?key=sketch", () => document.querySelector(".value-pane")?.textContent.includes("about 2"));
  await go("#/data?form=list", () => document.querySelectorAll("tbody tr").length === 9);
  await go("#/data?match=user:*", () => document.querySelector(".keys")?.textContent.includes("1 keys found of 9"));
  assert.equal(await page.run((tag) => document.querySelectorAll(tag).length, "main img, main script"), 0);
  assert.notEqual(await page.run(() => document.title), "run");

  const press = (name, within = "main") => page.run((name, within) => {
    const found = [...document.querySelectorAll(`${within} button`)].find((one) => (one.getAttribute("aria-label") ?? one.textContent.trim()) === name);
    if (!found) throw new Error(`no button ${name}`);
    found.click();
  }, name, within);
  // An edit keeps the expiry; one that meets a newer value shows both.
  await store("SET", "plain", "one\ntwo", "EX", "500");
  await go("#/data?key=plain", () => document.querySelector(".value-pane pre") !== null);
  await press("Edit");
  await page.wait(() => document.querySelector("textarea") !== null);
  await type("textarea", "one\nthree");
  await press("Save");
  await page.wait(() => document.querySelector(".value-pane pre")?.textContent.includes("three"));
  assert.equal(await store("GET", "plain"), "one\nthree");
  assert.ok(await store("TTL", "plain") > 400);
  await press("Edit");
  await page.wait(() => document.querySelector("textarea") !== null);
  await store("SET", "plain", "theirs");
  await type("textarea", "mine");
  await press("Save");
  await page.wait(() => document.querySelector(".diff")?.textContent.includes("- theirs"));
  assert.equal(await store("GET", "plain"), "theirs");
  await press("Save mine", "dialog");
  await page.wait(() => document.querySelector(".value-pane pre")?.textContent === "mine");
  assert.equal(await store("GET", "plain"), "mine");

  // What is below a node is counted, then deleted.
  await store("MSET", "many:1", "a", "many:2", "b", "many:[3]", "c", "manymore", "d");
  await go("#/data", () => document.querySelector(".value-pane") === null);
  await press("Reload", ".keys");
  await page.wait(() => document.querySelector(".tree")?.textContent.includes("many 3"));
  await press("Delete all keys below many:");
  await page.wait(() => document.querySelector("dialog")?.textContent.includes("3 keys below many:"));
  await press("Delete them", "dialog");
  await page.wait(() => document.querySelector(".messages")?.textContent.includes("3 keys are deleted"));
  assert.equal(await store("EXISTS", "many:1", "many:2", "many:[3]", "manymore"), 1);

  // Live: commands of others, requests with their commands beneath, messages.
  await go("#/live", () => document.querySelector("main h1")?.textContent === "Live");
  await page.wait(() => document.querySelector(".live") !== null);
  const again = setInterval(() => store("SET", "seen:now", MARKUP).then(() => store("PUBLISH", "news:1", MARKUP)), 100);
  await page.wait(() => document.querySelector(".live")?.textContent.includes('"SET" "seen:now" "<img'));
  await checkAccess("live-commands");
  await go("#/live?part=messages", () => document.querySelector("ul.live")?.textContent.includes("news:1"));
  clearInterval(again);
  await go("#/live?part=requests", () => document.querySelector(".live") !== null);
  await fetch(`${origin}/api/nowhere`);
  await page.wait(() => document.querySelector(".live")?.textContent.includes("not-found"));

  // Building blocks: a limit that refuses, a session that ends, an event that is sent again, an entry that is gone.
  await go("#/blocks", () => document.querySelector(".fields") !== null);
  const fill = (label, value) => page.run((label, value) => {
    const input = [...document.querySelectorAll("main label, main input, main textarea")].find((one) => (one.getAttribute("aria-label") ?? one.textContent.trim()) === label);
    const field = input.matches("label") ? input.control : input;
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }, label, value);
  await fill("Cost", "60");
  await press("Fire one");
  await page.wait(() => document.querySelector("main [role=status]")?.textContent.includes("1 allowed, 0 refused"));
  await press("Fire one");
  await page.wait(() => document.querySelector("main [role=status]")?.textContent.includes("1 allowed, 1 refused"));
  await checkAccess("blocks-limits");
  await go("#/live?part=requests", () => document.querySelector(".live")?.textContent.includes("POST /api/ratelimit"));
  await page.run(() => [...document.querySelectorAll(".live button")].find((one) => one.textContent.includes("/api/ratelimit")).click());
  await page.wait(() => document.querySelector(".live pre")?.textContent.includes("EVALSHA"));
  await checkAccess("live-requests");
  await go("#/blocks?part=sessions&user=ada", () => document.querySelector("main")?.textContent.includes("no session"));
  await press("Sign ada in");
  await page.wait(() => document.querySelectorAll("tbody tr").length === 1);
  await checkAccess("blocks-sessions");
  await press("End all");
  await page.wait(() => document.querySelector("dialog")?.textContent.includes("Every session of ada"));
  await press("End them", "dialog");
  await page.wait(() => document.querySelector("main")?.textContent.includes("no session"));
  await go("#/blocks?part=events", () => document.querySelector("#payload") !== null);
  await fill("Data", JSON.stringify({ text: MARKUP }));
  await press("Publish");
  await page.wait(() => document.querySelector(".live")?.textContent.includes("<img"));
  await checkAccess("blocks-events");
  await press("Send again with changes");
  await page.wait(() => document.querySelector("#payload")?.value.includes("<img"));
  await go("#/blocks?part=cache", () => document.querySelector("main")?.textContent.includes("Hits"));
  await checkAccess("blocks-cache");

  await go("#/metrics", () => document.querySelectorAll(".chart").length === 6);
  await page.wait(() => document.querySelector("main table.pairs")?.textContent.includes("Keys"));
  await checkAccess("metrics");
  assert.equal(await page.run((tag) => document.querySelectorAll(tag).length, "main img, main script"), 0);

  assert.deepEqual(page.problems, []);
});

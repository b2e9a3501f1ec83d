// The console of `restis dev` in a real browser: node console.mjs 'http://127.0.0.1:3030/#token=TOKEN' [DIRECTORY for pictures]
import assert from "node:assert/strict";
import { withPage } from "./browser.mjs";
import { steps } from "./console_page.mjs";

const [address, pictures] = process.argv.slice(2);
const { origin } = new URL(address);
const HOSTILE = `<img src=x onerror="document.title='run'">"'\u0000`;

await withPage(async (page) => {
  const { go, type, press, checkAccess } = steps(page, pictures);
  const enter = async (line) => {
    const before = await page.run(() => document.querySelectorAll(".entry").length);
    await type("#line", line);
    await page.run(() => document.querySelector(".prompt").requestSubmit());
    await page.wait((before) => document.querySelectorAll(".entry").length > before, before);
    return page.run(() => document.querySelector(".entry pre").textContent);
  };

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

  await go("#/metrics", () => document.querySelectorAll(".chart").length === 6);
  await page.wait(() => document.querySelector("main table.pairs")?.textContent.includes("Keys"));
  await checkAccess("metrics");
  assert.equal(await page.run((tag) => document.querySelectorAll(tag).length, "main img, main script"), 0);

  assert.deepEqual(page.problems, []);
});

// The console of `restis dev` in a real browser: node console.mjs 'http://127.0.0.1:3030/#token=TOKEN' [redis]
import assert from "node:assert/strict";
import { withPage } from "./browser.mjs";
import { steps } from "./console_page.mjs";

const [address, over] = process.argv.slice(2);
/** A Redis keeps its clock, cannot be reset, and may lack JSON. */
const isRedis = over === "redis";
const { origin } = new URL(address);
const HOSTILE = `<img src=x onerror="document.title='run'">"'\u0000`;

await withPage(async (page) => {
  const { go, type, press, checkAccess } = steps(page);
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
  // All that a browser loads, for the first time.
  await page.wait(() => performance.getEntriesByName("first-contentful-paint").length === 1);
  const { paint, bytes } = await page.run(() => ({
    paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    bytes: performance.getEntriesByType("resource").reduce((sum, one) => sum + one.encodedBodySize, performance.getEntriesByType("navigation")[0].encodedBodySize),
  }));
  console.log(`first paint after ${paint.toFixed(0)} ms, ${bytes} bytes`);
  assert.ok(bytes > 10_000 && bytes <= 150_000, `${bytes} bytes`);
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
  if (!isRedis) await store("JSON.SET", "json:1", "$", JSON.stringify({ [MARKUP]: [MARKUP, 1, null, { deep: true }] }));
  await store("SET", `${MARKUP}:${MARKUP}`, MARKUP, "EX", "1000");
  await store("SET", "plain", "one\ntwo");
  await store("PFADD", "sketch", "a", "b");
  const text = (selector) => page.run((selector) => document.querySelector(selector)?.textContent ?? "", selector);
  const shows = (part) => page.wait((part) => document.querySelector(".value-pane")?.textContent.includes(part), part);
  for (const key of ["user:1", "list:1", "set:1", "zset:1", "stream:1", ...(isRedis ? [] : ["json:1"]), `${MARKUP}:${MARKUP}`]) {
    await go(`#/data?${new URLSearchParams({ key })}`, () => document.querySelector(".value-pane") !== null);
    await shows(MARKUP);
    await checkAccess(`data-${key.split(":")[0].replaceAll(/\W/g, "")}`);
  }
  await go("#/data?key=sketch", () => document.querySelector(".value-pane")?.textContent.includes("about 2"));
  await go("#/data?form=list", () => document.querySelectorAll("tbody tr").length >= 8);
  await go("#/data?match=user:*", () => document.querySelector(".keys")?.textContent.includes("1 keys found of"));
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

  // Metrics: how long commands take, slow ones, alerts, events by type.
  const secret = () => page.run(async () => (await (await fetch("/console/api/session", { headers: { "x-restis-console": "1" } })).json()).functions.token);
  const send = (path, body) => secret().then((secret) => fetch(`${origin}/api/${path}`, { method: "POST", headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" }, body: JSON.stringify(body) }));
  await send("events/publish", { type: "room.booked", data: { text: MARKUP } });
  await store("EVAL", `local n = 0 for i = 1, 3000000 do n = n + i end return redis.call('SET', KEYS[1], ARGV[1])`, "1", "slow", MARKUP);
  await go("#/metrics", () => document.querySelectorAll(".chart").length === 6);
  await page.wait(() => document.querySelector("main table.pairs")?.textContent.includes("Keys"));
  await page.wait(() => [...document.querySelectorAll("#slow + .scroll td")].some((cell) => cell.textContent.includes("<img")));
  const columns = await page.run(() => [...document.querySelectorAll("#times ~ .scroll th")].slice(0, 7).map((cell) => cell.textContent));
  assert.deepEqual(columns, ["Command", "Calls", "Failed", "Mean", "p50", "p95", "p99"]);
  // Those of a Redis are read a moment later.
  await page.wait(() => {
    const row = [...document.querySelectorAll("#times ~ .scroll tr")].find((one) => one.cells[0].textContent === "set");
    return row && [...row.cells].slice(3).every((cell) => /^[\d.]+ (µs|ms)$/.test(cell.textContent));
  });
  await page.wait(() => document.querySelector("#types ~ .scroll")?.textContent.includes("room.booked"));
  await page.wait(() => document.querySelector("#alerts ~ .scroll")?.textContent.includes("RestisStoreDown"));
  await checkAccess("metrics");

  // By keyboard alone: to a page, to a key, into a dialog and out of it.
  const hit = async (key, modifiers = 0) => {
    const code = { Tab: 9, Enter: 13, Escape: 27, k: 75, ArrowRight: 39 }[key];
    const event = { key, code: key, windowsVirtualKeyCode: code, modifiers, ...(key === "Enter" && { text: "\r" }) };
    await page.send("Input.dispatchKeyEvent", { type: key === "Enter" ? "keyDown" : "rawKeyDown", ...event });
    await page.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  };
  const focused = () => page.run(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim() ?? "");
  const tabTo = async (name) => {
    for (let left = 100; (await focused()) !== name; left--) {
      assert.ok(left > 0, `Tab does not reach ${name}`);
      await hit("Tab");
    }
  };
  await hit("k", 2);
  await page.wait(() => document.querySelector("dialog.palette[open]") !== null);
  await page.send("Input.insertText", { text: "go to data" });
  await page.wait(() => document.querySelector("#actions")?.children.length > 0 && document.querySelector("#actions").textContent.startsWith("Go to Data"));
  await hit("Enter");
  await page.wait(() => document.querySelector("main h1")?.textContent === "Data" && document.querySelector(".tree .leaf") !== null);
  await tabTo("Tree");
  await hit("ArrowRight");
  await page.wait(() => location.hash.includes("form=list") && document.activeElement.textContent === "List");
  await tabTo("plain");
  await hit("Enter");
  await page.wait(() => document.querySelector(".value-pane pre")?.textContent === "mine");
  await tabTo("Rename");
  await hit("Enter");
  await page.wait(() => document.activeElement?.id === "answer");
  await hit("Escape");
  await page.wait(() => document.querySelector("dialog") === null && document.activeElement?.textContent === "Rename");

  // The clock: what expires does, every page says so, and a reset sets all back.
  if (!isRedis) {
    await store("SET", "brief", "v", "EX", "3000");
    await go("#/chaos", () => document.querySelector("#clock-by") !== null);
    await checkAccess("chaos");
    await press("An hour later");
    await page.wait(() => document.querySelector(".notice")?.textContent.includes("The clock is 1 h ahead"));
    assert.equal(await store("GET", "brief"), null);
    await type("#clock-by", "1x");
    await press("Move the clock");
    await page.wait(() => document.querySelector(".messages .error") !== null);
    await type("#clock-by", "1d");
    await press("Move the clock");
    await go("#/start", () => document.querySelector(".notice")?.textContent.includes("1 d 1 h ahead"));
    await go("#/chaos", () => document.querySelector("#clock-by") !== null);
    await press("Reset db0");
    await page.wait(() => document.querySelector("dialog")?.textContent.includes("Every key"));
    await press("Reset", "dialog");
    await page.wait(() => document.querySelector(".notice") === null);
    assert.equal(await store("EXISTS", "plain", "slow", "brief"), 0);
  }
  assert.equal(await page.run((tag) => document.querySelectorAll(tag).length, "main img, main script"), 0);

  assert.deepEqual(page.problems, []);
});

// The console against hostile names, lost values and a lost server: node console_hostile.mjs 'http://127.0.0.1:3030/#token=TOKEN' REST_URL REST_TOKEN
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { withPage } from "./browser.mjs";
import { steps } from "./console_page.mjs";

const [address, restUrl, token] = process.argv.slice(2);
const { origin } = new URL(address);
const MARKUP = "<img src=x onerror=document.title='run'>";

/** JSON whose strings may be bytes: the server takes what is no UTF-8 as it is. */
const json = (value) => Array.isArray(value)
  ? Buffer.concat([Buffer.from("["), ...value.flatMap((item, at) => [Buffer.from(at ? "," : ""), json(item)]), Buffer.from("]")])
  : Buffer.isBuffer(value) ? Buffer.concat([Buffer.from('"'), value, Buffer.from('"')]) : Buffer.from(JSON.stringify(String(value)));
const send = async (path, body) => {
  const response = await fetch(`${restUrl}${path}`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: json(body) });
  return response.json();
};
const store = async (...args) => {
  const { result, error } = await send("/", args);
  if (error) throw new Error(error);
  return result;
};

/** Bytes of a key as the console writes them in an address. */
const quoted = (bytes) => `"${[...Buffer.from(bytes)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}"`;

await withPage(async (page) => {
  const { go, type, press, says } = steps(page);
  const key = (name) => `#/data?${new URLSearchParams({ key: quoted(name) })}`;
  const edit = async (text) => {
    await page.wait(() => [...document.querySelectorAll(".value-pane button")].some((one) => one.textContent === "Edit"));
    await page.run(() => [...document.querySelectorAll(".value-pane button")].find((one) => one.textContent === "Edit").click());
    await page.wait(() => document.querySelector(".value-pane textarea") !== null);
    if (text !== undefined) await type(".value-pane textarea", text);
  };

  await page.goto(address);
  await page.wait(() => document.querySelector("nav") !== null);
  const { entries } = await page.send("Page.getNavigationHistory");
  assert.ok(entries.every(({ url }) => !url.includes("token")), "the token stays in the history");

  // Any name can be opened, changed and deleted, and nothing else is.
  const NAMES = [
    "", ".", "..", "/", "a/../b", "%2e%2e", "%", "#x?y&z=1", "nul\0nul", "new\nline", " spaces ", '"quoted"', "'", "\\x41", "__proto__", "constructor", "hasOwnProperty:toString",
    "\ufeffmark", "mark", "\u202eleft", "\u200f", MARKUP, ":", "::", "a:", "\u{1f600}:ü", "_token", Buffer.from("a\xff:b", "latin1"), "a\\xff:b", Buffer.from([0xc3, 0x28]), Buffer.from([0x22, 0x5c, 0x80, 0x01]),
  ].map((name) => Buffer.from(name));
  const escapedJson = (name) => (name.toString("utf8") !== "\ufffd" && Buffer.from(name.toString("utf8")).equals(name) ? name.toString("utf8") : Buffer.from([...name].flatMap((byte) => (byte === 0x22 || byte === 0x5c ? [0x5c, byte] : byte < 0x20 ? [...Buffer.from(`\\u00${byte.toString(16).padStart(2, "0")}`)] : [byte]))));
  await store("FLUSHALL");
  for (const [at, name] of NAMES.entries()) await store("SET", escapedJson(name), `value ${at} `);
  assert.equal(await store("DBSIZE"), NAMES.length, "the names differ");
  for (const [at, name] of NAMES.entries()) {
    await go(key(name), (text) => document.querySelector(".value-pane pre")?.textContent.includes(text), `value ${at} `);
    await edit(`changed ${at}`);
    await press("Save");
    await page.wait((text) => document.querySelector(".value-pane pre")?.textContent === text, `changed ${at}`);
    assert.equal(await store("GET", escapedJson(name)), `changed ${at}`);
  }
  assert.equal(await store("DBSIZE"), NAMES.length);
  // From the list, where names are shown.
  await go("#/data?form=list", (count) => document.querySelectorAll("tbody tr").length === count, NAMES.length);
  for (let at = 0; at < NAMES.length; at++) {
    await page.run((at) => document.querySelectorAll(".keys tbody .leaf")[at].click(), at);
    await page.wait(() => /changed \d+/.test(document.querySelector(".value-pane pre")?.textContent ?? ""));
    await page.run(() => { location.hash = "#/data?form=list"; });
    await page.wait(() => document.querySelector(".value-pane") === null);
  }
  for (const [at, name] of NAMES.entries()) {
    await go(key(name), () => document.querySelector(".value-pane .danger") !== null);
    await press("Delete", ".value-pane");
    await page.wait(() => document.querySelector("dialog .danger") !== null);
    await press("Delete it", "dialog");
    await page.wait(() => document.querySelector(".value-pane") === null);
    assert.equal(await store("EXISTS", escapedJson(name)), 0);
    assert.equal(await store("DBSIZE"), NAMES.length - at - 1);
  }

  // Names that look alike are not alike: what is deleted below a node is what was counted.
  const alike = [Buffer.from("c\\u0001:1"), Buffer.from("c\\\\x01:1"), Buffer.from("d\xff:1", "latin1"), Buffer.from("d\\\\xff:1"), Buffer.from("e*:1"), Buffer.from("ef:1")];
  for (const name of alike) await store("SET", name, "v");
  await go("#/data", () => document.querySelector(".value-pane") === null);
  await press("Reload", ".keys");
  await page.wait(() => document.querySelectorAll(".branch").length === 6);
  for (const [at, start] of ["e*:", "c\\x01:", "d\\xff:"].entries()) {
    await press(`Delete all keys below ${start}`);
    await says(`1 keys below ${start}`, "dialog");
    await press("Delete them", "dialog");
    await page.wait((count) => document.querySelectorAll(".branch").length === count, 5 - at);
  }
  assert.equal(await store("DBSIZE"), 3);
  assert.equal(await store("EXISTS", Buffer.from("ef:1")), 1);

  // A name as long as the server takes it.
  await store("FLUSHALL");
  const long = "k".repeat(32_768);
  await store("SET", long, "long");
  await press("Reload", ".keys");
  await page.wait(() => document.querySelectorAll(".tree .leaf").length === 1);
  assert.ok(await page.run(() => document.querySelector(".tree").textContent.length < 1000));
  await page.run(() => document.querySelector(".tree .leaf").click());
  await page.wait(() => document.querySelector(".value-pane pre")?.textContent === "long");

  // Fields and members that objects of JavaScript have already; numbers that it rounds; members in their order.
  await store("HSET", "hash", "__proto__", "1", "constructor", "2", "toString", MARKUP, "", "empty");
  await go(key("hash"), () => document.querySelectorAll(".value-pane tbody tr").length === 4);
  await press("Edit __proto__");
  await type(".value-pane td textarea", "new");
  await press("Save");
  await page.wait(() => document.querySelector(".value-pane td textarea") === null);
  assert.equal(await store("HGET", "hash", "__proto__"), "new");
  const document_ = '{"b":12345678901234567890,"1":1.0,"__proto__":{"constructor":[]},"a\\u0000":"<b>"}';
  await store("JSON.SET", "json", "$", document_);
  const before = await store("JSON.GET", "json");
  await go(key("json"), () => document.querySelector(".value-pane .tree") !== null);
  for (const part of ["12345678901234567890", "__proto__"]) await says(part, ".value-pane");
  await edit();
  await page.run(() => { document.querySelector(".value-pane textarea").dispatchEvent(new Event("input", { bubbles: true })); });
  await press("Save");
  await says("The document is saved", ".messages");
  assert.equal(await store("JSON.GET", "json"), before);
  await store("SET", "text", '{"b":12345678901234567890,\r\n"1":"ü"}\r\n');
  await go(key("text"), () => document.querySelector(".value-pane pre") !== null);
  await edit();
  await page.run(() => { document.querySelector(".value-pane textarea").value += "more"; document.querySelector(".value-pane textarea").dispatchEvent(new Event("input", { bubbles: true })); });
  await press("Save");
  await says("more", ".value-pane pre");
  assert.equal(await store("GET", "text"), '{"b":12345678901234567890,\r\n"1":"ü"}\r\nmore');
  await store("SET", "number", "9007199254740993");
  await go("#/commands", () => document.querySelector("#line") !== null);
  const enter = async (line) => {
    const count = await page.run(() => document.querySelectorAll(".entry").length);
    await type("#line", line);
    await page.run(() => document.querySelector(".prompt").requestSubmit());
    await page.wait((count) => document.querySelectorAll(".entry").length > count, count);
    return page.run(() => document.querySelector(".entry pre").textContent);
  };
  assert.match(await enter("INCR number"), /9007199254740994/);
  // What is printed means the same when it is entered.
  for (const line of ['"a\\\\x41"', '"\\x00\\xff\\""', '"a\\nb"']) assert.equal(await enter(`ECHO ${line}`), line);
  // A reply of a hundred thousand parts is shown to its beginning.
  for (let at = 0; at < 10; at++) await store("RPUSH", "many", ...Array.from({ length: 10_000 }, (_, n) => `item ${at} ${n} ${MARKUP}`));
  const printed = await enter("LRANGE many 0 -1");
  assert.ok(printed.length < 100_000 && /… [\d,]+ more$/.test(printed), printed.slice(-100));
  // A command that waits can be left.
  await type("#line", 'EVAL "while true do end" 0');
  await page.run(() => document.querySelector(".prompt").requestSubmit());
  await says("waits for its reply");
  await press("Wait no longer");
  await says("no longer waited for", ".entry");

  // Values that are gone: while they are shown, and while they are edited.
  await store("SET", "brief", "v", "PX", "1500");
  await go(key("brief"), () => document.querySelector(".value-pane h2") !== null);
  await says("There is no such key now", ".value-pane");
  await store("SET", "edited", "v");
  await go(key("edited"), () => document.querySelector(".value-pane pre")?.textContent === "v");
  await edit("mine");
  await store("DEL", "edited");
  await press("Save");
  await says("Somebody else has deleted it", "dialog");
  await press("Save mine", "dialog");
  await page.wait(() => document.querySelector(".value-pane pre")?.textContent === "mine");
  assert.equal(await store("GET", "edited"), "mine");
  await go(key("hash"), () => document.querySelectorAll(".value-pane tbody tr").length === 4);
  await press("Edit constructor");
  await type(".value-pane td textarea", "mine");
  await store("HDEL", "hash", "constructor");
  await press("Save");
  await says("Somebody else has deleted it", "dialog");
  await press("Save mine", "dialog");
  await page.wait(() => document.querySelector(".value-pane td textarea") === null);
  assert.equal(await store("HGET", "hash", "constructor"), "mine");
  await press("Set expiry", ".value-pane");
  await page.wait(() => document.querySelector("#answer") !== null);
  await type("#answer", "0");
  await press("Set expiry", "dialog");
  await says("would be deleted", "dialog");
  await page.run(() => document.querySelector("dialog").close());

  // Addresses that name what objects have already.
  for (const hash of ["#/live?part=constructor", "#/start?language=constructor", "#/blocks?part=__proto__", "#/data?form=toString&type=%00&separator=constructor", "#/__proto__", "#/%", "#/data?key=%22open"]) {
    await go(hash, () => document.querySelector("main h1") !== null);
  }

  await go("#/data?db=nowhere", () => document.querySelector(".notice")?.textContent.includes("There is no database nowhere"));

  // Messages of several lines, and a channel that no path can carry.
  await go("#/live?part=messages&channel=..", () => document.querySelector("ul.live") !== null);
  const again = setInterval(() => store("PUBLISH", "..", `first\nmessage,..,second ${MARKUP}`), 100);
  await says("second", "ul.live");
  clearInterval(again);
  assert.ok(await page.run(() => [...document.querySelectorAll("ul.live li")].every((one) => one.textContent.includes("first"))), "a line of a message became a message");
  await go("#/blocks?part=sessions&user=..", () => document.querySelector("main")?.textContent.includes("cannot be a part of an address"));
  assert.equal(await page.run(() => document.querySelectorAll("main img, main script").length), 0);
  assert.notEqual(await page.run(() => document.title), "run");

  // restis is away, and comes back: every page says so, and the streams go on.
  await go("#/live", () => document.querySelector("table.live") !== null);
  const away = (offline) => page.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await page.send("Network.enable");
  await away(true);
  await go("#/data", () => document.querySelector(".notice")?.textContent.includes("does not answer"));
  await away(false);
  await page.wait(() => document.querySelector(".notice") === null && document.querySelector(".keys .error") === null);
  await go("#/live", () => document.querySelector("table.live") !== null);
  const more = setInterval(() => store("SET", "seen:again", "1"), 100);
  await says("seen:again", "table.live");
  clearInterval(more);

  // Faults meet other programs, are told on every page, and end.
  await go("#/chaos", () => document.querySelector("#fault-error") !== null);
  await type("#fault-error", "100");
  await press("Switch on");
  await says("Faults are injected", ".notice");
  await page.wait(() => document.querySelector("main [role=status]")?.textContent.includes("error=1"));
  await assert.rejects(store("PING"), /injected fault/);
  await go("#/data?key=hash", () => document.querySelectorAll(".value-pane tbody tr").length === 4);
  assert.ok(await page.run(() => document.querySelector(".notice") !== null));
  await go("#/chaos", () => document.querySelector("#fault-error")?.value === "100");
  await type("#fault-error", "101");
  await press("Switch on");
  await says("is not a share", ".messages");
  await press("Switch off");
  await page.wait(() => document.querySelector(".notice") === null);
  assert.equal(await store("PING"), "PONG");

  // A session that ended; the link of the next one is opened in the same tab.
  await page.send("Network.clearBrowserCookies");
  await go("#/data?key=hash", () => document.querySelector(".locked") !== null);
  await type("#token", "%E0%A4%A");
  await page.run(() => document.querySelector(".locked form").requestSubmit());
  await says("opens nothing here", ".locked");
  await page.run((token) => { location.hash = `#token=${token}`; }, token);
  await page.wait(() => document.querySelector("nav") !== null);
  await page.run(() => { location.hash = "#token=%"; });
  await page.wait(() => document.querySelector("nav") !== null && !location.hash.includes("token"));

  // A page of another port of this machine, to which the browser sends the cookie, reaches nothing and frames nothing.
  const other = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>other</title>"));
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  const read = await store("DBSIZE");
  await page.goto(`http://127.0.0.1:${other.address().port}/`);
  await page.wait(() => document.title === "other");
  const reached = await page.run(async (origin) => {
    const results = [];
    for (const init of [
      { mode: "no-cors", method: "POST", body: '["FLUSHALL"]' },
      { mode: "cors", method: "POST", body: '["FLUSHALL"]' },
      { mode: "cors", method: "POST", headers: { "x-restis-console": "1" }, body: '["FLUSHALL"]' },
      { mode: "cors", method: "GET", path: "session", headers: { "x-restis-console": "1" } },
    ]) {
      const answer = await fetch(`${origin}/console/api/${init.path ?? "store/db0"}`, { ...init, credentials: "include" }).catch(() => null);
      results.push(answer === null ? "refused" : answer.type === "opaque" ? "opaque" : await answer.text());
    }
    const frame = document.createElement("iframe");
    frame.src = origin;
    document.body.append(frame);
    await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 3000); });
    let inside = "blocked";
    try {
      inside = frame.contentDocument?.title ?? "blocked";
    } catch {
      // Another origin: nothing can be read.
    }
    return [...results, inside];
  }, origin);
  other.close();
  assert.deepEqual(reached, ["opaque", "refused", "refused", "refused", "blocked"]);
  assert.equal(await store("DBSIZE"), read, "another page changed the store");

  assert.deepEqual(page.problems.filter((text) => !/frame-ancestors|X-Frame-Options|CORS/i.test(text)), []);
});

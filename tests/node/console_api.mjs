// The page of the functions' operations in the console: node console_api.mjs 'http://127.0.0.1:3030/#token=TOKEN' SERVICE_TOKEN
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { withPage } from "./browser.mjs";
import { steps } from "./console_page.mjs";

const [address, secret] = process.argv.slice(2);
const { origin } = new URL(address);
const headers = { authorization: `Bearer ${secret}`, "content-type": "application/json" };
const send = (method, path, body) => fetch(`${origin}/api/${path}`, { method, headers, body: JSON.stringify(body) });

await withPage(async (page) => {
  const { go, type, fill, press, says, checkAccess } = steps(page);
  await page.browser("Browser.grantPermissions", { origin, permissions: ["clipboardReadWrite", "clipboardSanitizedWrite"] });
  // eval, for axe alone.
  await page.send("Page.setBypassCSP", { enabled: true });
  await page.goto(address);
  await page.wait(() => document.querySelector("nav") !== null);

  // Every operation of the description is listed, by address and by search.
  const described = await (await fetch(`${origin}/api/openapi.json`)).json();
  const names = Object.entries(described.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  const listed = () => page.run(() => [...document.querySelectorAll(".operations .leaf")].map((one) => one.textContent.trim()));
  await go("#/api", () => document.querySelector(".operations") !== null);
  assert.deepEqual((await listed()).sort(), [...names].sort());
  await checkAccess("api");
  await fill("Find an operation", "DLQ");
  await page.wait(() => document.querySelectorAll(".operations .leaf").length < 10);
  assert.deepEqual((await listed()).sort(), names.filter((name) => name.includes("/dlq")).sort());

  // Every operation opens, and each of its fields has a name.
  const open = async (id) => go(`#/api?${new URLSearchParams({ operation: id })}`, (path) => document.querySelector(".value-pane h2")?.textContent.endsWith(path), id.split(" ")[1]);
  for (const id of names) {
    await open(id);
    const [method] = id.split(" ");
    await page.wait((method) => document.querySelector(".value-pane .method")?.textContent === method, method);
    const nameless = await page.run(() => [...document.querySelectorAll("main input, main textarea, main select")].filter((one) => !one.labels?.length && !one.getAttribute("aria-label")).map((one) => one.outerHTML));
    assert.deepEqual(nameless, [], id);
  }

  // The Markdown of descriptions is rendered: nothing of its marks is left.
  await open("POST /api/events/webhooks/{sender}");
  assert.ok(await page.run(() => document.querySelector('.value-pane a[href="https://www.standardwebhooks.com/"]') !== null));
  assert.ok(await page.run(() => !document.querySelector(".value-pane").textContent.includes("`")));
  await checkAccess("api-operation");

  // Fields are filled in with what is there; what is sent is answered.
  assert.equal((await send("POST", "sessions", { user: "grace" })).status, 201);
  assert.equal((await send("PUT", "cache/entries/a%2Fb", { value: { n: 3 }, fresh_seconds: 60 })).status, 204);
  const answered = async (status) => {
    await page.wait((status) => document.querySelector("[aria-label=Answer] strong")?.textContent.startsWith(status), status);
    return page.run(() => document.querySelector("[aria-label=Body]").textContent);
  };
  await open("GET /api/users/{user}/sessions");
  await page.wait(() => document.querySelector(".value-pane input").value === "grace");
  await press("Send");
  assert.equal(JSON.parse(await answered("200")).length, 1);
  await open("GET /api/cache/entries/{key}");
  await page.wait(() => document.querySelector(".value-pane input").value === "a/b");
  await press("Send");
  assert.deepEqual(JSON.parse(await answered("200")).value, { n: 3 });
  await open("POST /api/ratelimit");
  await page.wait(() => document.querySelector("#body").value.includes("alice"));
  await press("Send");
  assert.equal(JSON.parse(await answered("200")).allowed, true);

  // Cookies are the browser's.
  await open("POST /api/sessions");
  await page.wait(() => document.querySelector("#body").value.includes("grace"));
  await type("#body", '{"user":"u1"}');
  await press("Send");
  await answered("201");
  await open("GET /api/session");
  await press("Send");
  assert.equal(JSON.parse(await answered("200")).session.user, "u1");

  // What deletes is asked about first; a path that cannot be is told.
  await open("DELETE /api/session");
  await press("Send");
  await says("ends or deletes", "dialog");
  await press("Send", "dialog");
  await answered("204");
  await open("GET /api/events/dlq/{id}");
  await page.run(() => { document.querySelector(".value-pane input").value = ".."; document.querySelector(".value-pane input").dispatchEvent(new Event("input", { bubbles: true })); });
  await press("Send");
  await says("cannot be a part of an address", ".messages");

  // A refusal is shown like other answers.
  await type(".value-pane input", "1-1");
  await press("Send");
  assert.equal(JSON.parse(await answered("404")).code, "not-found");

  // A stream shows what comes, until it is stopped; markup in it is text.
  await open("GET /api/events/stream");
  await press("Send");
  await says("the stream is open");
  assert.equal((await send("POST", "events/publish", { type: "booking.created", data: "<img src=x>" })).status, 201);
  await says("<img src=x>", "[aria-label=Body]");
  await press("Stop");
  await page.wait(() => !document.body.textContent.includes("the stream is open"));
  assert.equal(await page.run(() => document.querySelectorAll("main img").length), 0);

  // The newest event is what another one is made from.
  await open("POST /api/events/publish");
  await page.wait(() => document.querySelector("#body").value.includes("booking.created"));

  // What is copied works in a shell.
  await open("POST /api/ratelimit");
  await type("#body", `{"identifier":"it's me"}`);
  await press("Copy as curl");
  const command = await page.run((until) => until(() => navigator.clipboard.readText()));
  assert.match(execFileSync("sh", ["-c", `${command} -s`], { encoding: "utf8" }), /^HTTP\/1.1 200 OK/);

  // Addresses that name no operation.
  for (const operation of ["", "constructor", "GET /api/nowhere", "<img src=x>"]) await go(`#/api?${new URLSearchParams({ operation })}`, () => document.querySelector(".operations") !== null && document.querySelector(".value-pane") === null);
  assert.deepEqual(page.problems, []);
});

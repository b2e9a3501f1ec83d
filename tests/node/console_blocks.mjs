// The building blocks in the console, in front of a restis whose webhooks `gone` (410) and `away` (no listener) fail:
// node console_blocks.mjs 'http://127.0.0.1:3030/#token=TOKEN' SERVICE_TOKEN
import assert from "node:assert/strict";
import { withPage } from "./browser.mjs";
import { steps } from "./console_page.mjs";

const [address, secret] = process.argv.slice(2);
const { origin } = new URL(address);
const MARKUP = "<img src=x onerror=document.title='run'>";
const send = async (method, path, body, more = {}) => {
  const response = await fetch(`${origin}/api/${path}`, { method, headers: { authorization: `Bearer ${secret}`, "content-type": "application/json", ...more }, body: body && JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
};

await withPage(async (page) => {
  const { go, type, fill, press, says, checkAccess } = steps(page);
  // eval, for axe alone.
  await page.send("Page.setBypassCSP", { enabled: true });
  await page.goto(address);
  await page.wait(() => document.querySelector("nav") !== null);

  // A limit that refuses, why, and its windows.
  await go("#/blocks", () => document.querySelector(".fields") !== null);
  await fill("Cost", "60");
  await press("Fire one");
  await says("1 allowed, 0 refused", "main");
  await press("Fire one");
  await says("1 allowed, 1 refused", "main");
  await says("Worth trying in");
  await page.wait(() => [...document.querySelectorAll(".windows text")].some((one) => one.textContent === "60"));
  await page.wait(() => document.querySelectorAll(".windows circle").length === 2 && document.querySelectorAll(".windows .no").length === 1);
  await checkAccess("blocks-limits");
  await fill("Identifier", MARKUP);
  await press("Forget what was used");
  await says("100 of 100 are left now");

  // The refused request is in Live, its commands beneath.
  await go("#/live?part=requests", () => document.querySelector(".live")?.textContent.includes("rate-limited"));
  await page.run(() => [...document.querySelectorAll(".live button")].find((one) => one.textContent.includes("POST /api/ratelimit")).click());
  await page.wait(() => [...document.querySelectorAll(".live pre")].some((one) => one.textContent.includes("EVALSHA")));
  await checkAccess("live-requests");

  // Sessions: how long ago the user proved who they are; one ends, the others do not.
  const agent = { "user-agent": `${MARKUP} Firefox/140.0 (X11; Linux)` };
  for (const organisation of [undefined, "acme"]) await send("POST", "sessions", { user: "ada", methods: ["pwd", "<b>"], organisation }, agent);
  await go("#/blocks?part=sessions&user=ada", () => document.querySelectorAll("tbody tr").length === 2);
  await says("pwd", "tbody");
  await press("Sign ada in");
  await page.wait(() => document.querySelectorAll("tbody tr").length === 3);
  await checkAccess("blocks-sessions");
  const row = await page.run(() => [...document.querySelectorAll("tbody tr")].findIndex((one) => one.textContent.includes("acme")));
  await page.run((row) => document.querySelectorAll("tbody tr")[row].querySelector("button").click(), row);
  await says("will end", "dialog");
  await press("End", "dialog");
  await page.wait(() => document.querySelectorAll("tbody tr").length === 2 && !document.querySelector("tbody").textContent.includes("acme"));
  await press("End all");
  await says("Every session of ada", "dialog");
  await press("End", "dialog");
  await says("This user has no session");

  // Events: what one looks like, sending again with changes.
  await send("POST", "events/work");
  await go("#/blocks?part=events", () => document.querySelector("#payload") !== null);
  await type("#type", "note.added");
  await type("#payload", JSON.stringify({ text: MARKUP }));
  await press("Publish");
  await says("<img", ".live");
  await page.run(() => document.querySelector(".live .leaf").click());
  await says('"specversion": "1.0"', ".live pre");
  await checkAccess("blocks-events");
  await press("Send again with changes");
  await page.wait(() => document.querySelector("#payload").value.includes("<img"));
  for (let number = 0; number < 60; number++) await send("POST", "events/publish", { type: "many", data: { number } });
  await press("Reload");
  await says('{"number":59}', ".live");
  await press("Older ones");
  await says('{"number":3}', ".live");
  await says("note.added", ".live");

  // Webhooks: what waits, how often it was tried and why it failed; what was given up, with its reason.
  await go("#/blocks?part=work", () => document.querySelectorAll("main h3").length === 2);
  await press("Deliver webhooks now");
  await page.wait(() => document.querySelector("[aria-label='What was delivered']")?.textContent.includes("gone"));
  await page.wait(() => [...document.querySelectorAll("main .live tbody tr")].some((row) => {
    const [event, attempts, , failed] = [...row.cells].map((cell) => cell.textContent);
    return event.startsWith("note.added") && attempts === "1" && /^20\d\d-.* \S+/.test(failed);
  }));
  await send("POST", "events/sync", { client: "phone-1", epoch: 3, first: 1, events: [{ type: "note.added", id: "1" }] });
  await go("#/blocks?part=cache", () => document.querySelector("main")?.textContent.includes("Hits"));
  await checkAccess("blocks-cache");
  await go("#/blocks?part=work", () => document.querySelector("main")?.textContent.includes("Last sent"));
  await checkAccess("blocks-work");
  await go("#/blocks?part=events", () => document.querySelector("[aria-label^='Choose ']") !== null);
  const total = () => page.run(() => Number(/(\d+) in all/.exec(document.querySelector("main").textContent)?.[1] ?? 0));
  const before = await total();
  assert.ok(before > 2);
  assert.equal(await page.run(() => document.querySelector("[aria-label^='Choose ']").closest("tr").cells[3].textContent), "gone");
  await page.run(() => [...document.querySelectorAll("main .leaf")].at(-1).click());
  await says('"specversion"', "main pre");
  // One, then several that are chosen.
  await page.run(() => [...document.querySelectorAll("main button")].find((one) => /^Give .*-.* back$/.test(one.getAttribute("aria-label"))).click());
  await says("1 went back", ".messages");
  await page.wait((count) => document.querySelector("main").textContent.includes(`${count} in all`), before - 1);
  await page.run(() => [...document.querySelectorAll("[aria-label^='Choose ']")].slice(0, 2).forEach((one) => one.click()));
  await says("Give 2 back");
  await press("Give 2 back");
  await page.wait((count) => document.querySelector("main").textContent.includes(`${count} in all`), before - 3);
  await press("Choose all shown");
  await press(`Delete ${Math.min(100, before - 3)}`);
  await says("will be deleted for good", "dialog");
  await press("Delete", "dialog");
  await says("No event is left undelivered");

  assert.equal(await page.run((tag) => document.querySelectorAll(tag).length, "main img, main script"), 0);
  assert.notEqual(await page.run(() => document.title), "run");
  assert.deepEqual(page.problems, []);
});

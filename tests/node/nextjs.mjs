// examples/nextjs in a real browser: node nextjs.mjs http://127.0.0.1:3001
import assert from "node:assert/strict";
import { withPage } from "./browser.mjs";

const [address] = process.argv.slice(2);

await withPage(async (page) => {
  await page.goto(address);
  const heading = (text) => page.wait((text) => document.querySelector("h1")?.textContent === text, text);
  await heading("Sign in");

  // Another site's request to sign in is refused.
  const foreign = await fetch(`${address}/auth/login`, { method: "POST", body: new URLSearchParams({ user: "mallory" }), headers: { "sec-fetch-site": "cross-site" } });
  assert.equal(foreign.status, 403);
  assert.equal((await fetch(`${address}/auth/grant`, { method: "POST", headers: { "sec-fetch-site": "same-origin" } })).status, 401);

  await page.run(() => {
    const form = document.querySelector("form");
    form.elements.user.value = "ada";
    form.requestSubmit();
  });
  await heading("Hello, ada");
  // The session is no script's business.
  assert.equal(await page.run(() => document.cookie), "");

  // A note goes to the history and comes back live.
  await page.wait(() => document.querySelector("[role=status]").textContent === "live");
  const note = "<b>milk</b>";
  await page.run((note) => {
    const form = document.querySelector("section form");
    form.elements.text.value = note;
    form.requestSubmit();
  }, note);
  const shown = await page.wait(() => document.querySelector("li")?.textContent);
  assert.equal(shown, `${note} — ada`);

  await page.run(() => document.querySelector("button").click());
  await heading("Sign in");
  assert.equal(await page.run(async () => (await (await fetch("/api/session")).json()).session), null);
  assert.deepEqual(page.problems, []);
});

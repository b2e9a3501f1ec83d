// The page at /docs of `restis dev` in a real browser: node docs_page.mjs 'http://127.0.0.1:3030/docs#token=TOKEN'
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { withPage } from "./browser.mjs";

const [address] = process.argv.slice(2);
const { origin, hash } = new URL(address);
const secret = new URLSearchParams(hash.slice(1)).get("token");

await withPage(async (page) => {
  await page.browser("Browser.grantPermissions", { origin, permissions: ["clipboardReadWrite", "clipboardSanitizedWrite"] });
  await page.goto(address);
  await page.wait(() => document.querySelector(".operation") !== null);

  // The token is taken from the address and does not stay there.
  assert.deepEqual(await page.run(() => [document.getElementById("token").value, location.href]), [secret, `${origin}/docs`]);

  // Every operation of the description is listed.
  const described = await (await fetch(`${origin}/api/openapi.json`)).json();
  const names = Object.entries(described.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  const listed = await page.run(() => [...document.querySelectorAll(".operation")].map((one) => one.id));
  assert.deepEqual(listed.sort(), names.sort());

  // Opened, every control has a name, and no id is taken twice.
  const nameless = await page.run(async (until) => {
    for (const one of document.querySelectorAll(".operation")) one.open = true;
    await until(() => document.querySelectorAll(".operation form").length === document.querySelectorAll(".operation").length);
    const named = (node) => node.labels?.length > 0 || node.textContent.trim() !== "" || node.getAttribute("aria-label");
    const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
    return [...document.querySelectorAll("input, textarea, select, button")].filter((node) => !named(node)).map((node) => node.outerHTML)
      .concat(ids.filter((id, i) => ids.indexOf(id) !== i));
  });
  assert.deepEqual(nameless, []);

  /** Fills and sends an operation's form; the status line and the body that are shown. */
  const call = (operation, fields = {}, body = null) => page.run(async (operation, fields, body, until) => {
    const form = document.getElementById(operation).querySelector("form");
    const answer = form.nextElementSibling;
    answer.replaceChildren();
    for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
    if (body !== null) form.querySelector("textarea").value = body;
    form.requestSubmit();
    await until(() => answer.querySelector("strong") && !form.querySelector("[type=submit]").disabled);
    return [answer.querySelector("strong").textContent, answer.querySelector("[aria-label=Body]")?.textContent];
  }, operation, fields, body);

  // A request as it is filled in.
  let [status, body] = await call("POST /api/ratelimit");
  assert.equal(status, "200 OK");
  assert.equal(JSON.parse(body).allowed, true);
  [status, body] = await call("GET /api/ratelimit", { identifier: "alice" });
  assert.deepEqual([status, JSON.parse(body).remaining], ["200 OK", JSON.parse(body).limit - 1]);

  // Cookies are the browser's.
  assert.equal((await call("POST /api/sessions", {}, '{"user":"u1"}'))[0], "201 Created");
  assert.equal(JSON.parse((await call("GET /api/session"))[1]).session.user, "u1");
  assert.deepEqual(await call("DELETE /api/session"), ["204 No Content", "(empty)"]);
  assert.equal(JSON.parse((await call("GET /api/session"))[1]).session, null);

  // A path parameter is encoded; an answer that is an error is shown like others.
  [status, body] = await call("GET /api/events/dlq/{id}", { id: "1-1" });
  assert.deepEqual([status, JSON.parse(body).code], ["404 Not Found", "not-found"]);

  // A stream shows what comes, until it is stopped.
  const streamed = await page.run(async (secret, until) => {
    const form = document.getElementById("GET /api/events/stream").querySelector("form");
    const answer = form.nextElementSibling;
    form.requestSubmit();
    const output = await until(() => answer.querySelector("[aria-label=Body]"));
    const event = { type: "booking.created", data: "<img src=x>" };
    await fetch("/api/events/publish", { method: "POST", headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" }, body: JSON.stringify(event) });
    await until(() => output.textContent.includes("<img src=x>"));
    form.querySelectorAll("button")[1].click();
    await until(() => answer.textContent.includes("stopped"));
    return [answer.querySelectorAll("img").length, form.querySelector("[type=submit]").disabled];
  }, secret);
  assert.deepEqual(streamed, [0, false]);

  // What is copied works in a shell.
  const command = await page.run(async (until) => {
    const form = document.getElementById("POST /api/ratelimit").querySelector("form");
    form.querySelector("textarea").value = `{"identifier":"it's me"}`;
    form.querySelectorAll("button")[2].click();
    const shown = await until(() => form.nextElementSibling.querySelector("[aria-label=curl]") ?? form.querySelectorAll("button")[2].textContent === "Copied");
    return shown.textContent ?? navigator.clipboard.readText();
  });
  assert.match(execFileSync("sh", ["-c", `${command} -s`], { encoding: "utf8" }), /^HTTP\/1.1 200 OK/);

  // Without the right token the refusal is shown; the page does not keep another one.
  await page.run(() => { document.getElementById("token").value = "wrong"; });
  assert.equal((await call("POST /api/ratelimit", {}, '{"identifier":"a"}'))[0], "401 Unauthorized");

  // The search leaves what fits.
  const found = await page.run(() => {
    const find = document.getElementById("find");
    find.value = "DLQ";
    find.dispatchEvent(new Event("input"));
    const visible = [...document.querySelectorAll(".operation")].filter((one) => one.checkVisibility()).map((one) => one.id);
    find.value = "";
    find.dispatchEvent(new Event("input"));
    return visible;
  });
  assert.deepEqual(found.sort(), names.filter((name) => name.includes("/dlq")));

  // Text is legible in both colour schemes (WCAG 2.2, 1.4.3).
  const contrasts = () => page.run(() => {
    const light = (rgb) => {
      const [r, g, b] = rgb.match(/[\d.]+/g).map((n) => n / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (node) => {
      const colour = getComputedStyle(node).backgroundColor;
      return colour === "rgba(0, 0, 0, 0)" ? background(node.parentElement) : colour;
    };
    const nodes = [document.body, ...document.querySelectorAll("a, .dim, .method, .good, .bad, button:enabled, pre, input")];
    return nodes.map((node) => {
      const [a, b] = [light(getComputedStyle(node).color), light(background(node))].sort((a, b) => b - a);
      return [(a + 0.05) / (b + 0.05), node.outerHTML.slice(0, 80)];
    }).filter(([ratio]) => ratio < 4.5);
  });
  const backgrounds = [];
  for (const scheme of ["light", "dark"]) {
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    assert.deepEqual(await contrasts(), [], scheme);
    backgrounds.push(await page.run(() => getComputedStyle(document.body).backgroundColor));
    if (process.env.RESTIS_SCREENSHOT) {
      await page.run(() => { for (const one of document.querySelectorAll(".operation")) one.open = one.id === "POST /api/ratelimit"; scrollTo(0, 0); });
      const { data } = await page.send("Page.captureScreenshot", {});
      writeFileSync(`${process.env.RESTIS_SCREENSHOT}-${scheme}.png`, Buffer.from(data, "base64"));
    }
  }
  assert.notEqual(...backgrounds);

  // On a narrow screen nothing sticks out.
  await page.send("Emulation.setDeviceMetricsOverride", { width: 360, height: 740, deviceScaleFactor: 1, mobile: true });
  assert.equal(await page.run(() => document.documentElement.scrollWidth), 360);
  assert.deepEqual(page.problems, []);
});

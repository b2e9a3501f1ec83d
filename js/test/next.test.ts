// `restis/next` in a built Next.js application, in front of `restis dev`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { createClient } from "restis";
import { openBrowser, skipBrowser } from "./support/chromium.js";
import { startForwarder, type Forwarder } from "./support/forward.js";
import { buildNext, startNext, type NextServer } from "./support/next.js";
import { skip as skipRestis, startRestis, type Restis } from "./support/restis.js";

const skip = skipRestis || skipBrowser;
const policies = {
  pages: { algorithm: "fixed-window", limit: 2, window: "1h" },
  votes: { algorithm: "fixed-window", limit: 1, window: "1h" },
};
let restis: Restis;
let next: NextServer;
let browser: Browser;
/** In front of the functions, and of the store. */
let functions: Forwarder;
let store: Forwarder;
/** Another process of the same build. */
let other: NextServer;

before(async () => {
  if (skip) return;
  restis = await startRestis({ env: { RATE_LIMIT_POLICIES: JSON.stringify(policies) } });
  functions = await startForwarder(() => restis.url);
  store = await startForwarder(() => restis.store.url);
  const env = { API_URL: functions.url, RESTIS_SERVICE_TOKEN: restis.token };
  await buildNext(env);
  const stored = { ...env, UPSTASH_REDIS_REST_URL: store.url, UPSTASH_REDIS_REST_TOKEN: restis.store.token };
  [next, other] = await Promise.all([startNext(stored), startNext(stored)]);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await next?.stop();
  await other?.stop();
  functions?.stop();
  store?.stop();
  await restis?.stop();
});

const post = (path: string, headers: Record<string, string> = {}, body?: unknown) =>
  fetch(next.url + path, { method: "POST", headers, body: JSON.stringify(body ?? {}) });
const login = async (user: string) => {
  const response = await post("/auth/login", {}, { user });
  assert.equal(response.status, 200);
  return response.headers.getSetCookie()[0]!.split(";")[0]!;
};
const page = async (path: string, cookie?: string) => (await fetch(next.url + path, { headers: cookie ? { cookie } : {} })).text();

test("the session is asked for once per request, and not without a cookie", { skip }, async () => {
  functions.asked.length = 0;
  assert.equal((await page("/")).match(/>nobody</g)?.length, 3);
  assert.deepEqual(functions.asked, []);
  const cookie = await login("ada");
  functions.asked.length = 0;
  const html = await page("/", cookie);
  assert.equal(html.match(/>ada</g)?.length, 3);
  assert.deepEqual(functions.asked, ["GET /api/session"]);
  // The next visitor gets nothing of the last one.
  assert.match(await page("/", await login("eve")), />eve</);
  assert.match(await page("/"), />nobody</);
});

test("a page asks for a session, or sends the visitor elsewhere", { skip }, async () => {
  const cookie = await login("ada");
  assert.match(await page("/private", cookie), /for .*ada/);
  const response = await fetch(`${next.url}/private`, { redirect: "manual" });
  const html = await response.text();
  assert.ok(response.status === 307 || /http-equiv="refresh" content="\d;url=\/"|NEXT_REDIRECT;replace;\/;/.test(html), html);
});

test("sign-in by another site is refused", { skip }, async () => {
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "https://evil.example" }] as Record<string, string>[]) {
    const response = await post("/auth/login", headers, { user: "ada" });
    assert.equal(response.status, 403);
    assert.equal(await response.json(), "csrf-failed");
    assert.deepEqual(response.headers.getSetCookie(), []);
  }
});

test("Server Actions sign in and out, and a limited one says how long to wait", { skip }, async () => {
  const context = await browser.newContext();
  const tab = await context.newPage();
  await tab.goto(next.url);
  const shows = (id: string, pattern: string) => tab.waitForFunction(([id, pattern]) => new RegExp(pattern!).test(document.getElementById(id!)?.textContent ?? ""), [id, pattern]);
  await shows("one", "^nobody$");
  await tab.fill("input[name=user]", "grace");
  await tab.click("#enter");
  await shows("one", "^grace$");
  const cookie = (await context.cookies()).find(({ name }) => name === "sid");
  assert.ok(cookie?.httpOnly && cookie.sameSite === "Lax");
  await tab.click("#vote");
  await shows("result", "^voted$");
  await tab.click("#vote");
  await shows("result", "^wait [1-9]\\d*$");
  await tab.click("#leave");
  await shows("one", "^nobody$");
  assert.equal((await context.cookies()).find(({ name }) => name === "sid"), undefined);
  await context.close();
});

test("a limited route answers 429 with the headers of the limit", { skip }, async () => {
  const search = () => fetch(`${next.url}/search?q=x`, { headers: { "x-test": "429" } });
  assert.deepEqual(await (await search()).json(), { found: "x" });
  const refused = await search();
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("content-type"), "application/problem+json");
  assert.match(refused.headers.get("retry-after") ?? "", /^\d+$/);
  assert.match(refused.headers.get("ratelimit") ?? "", /^"votes";r=0/);
  assert.equal(((await refused.json()) as { code: string }).code, "rate-limited");
});

test("proxy.ts limits by address, whatever the visitor writes in front", { skip }, async () => {
  const visit = (address: string) => fetch(`${next.url}/limited`, { headers: { "x-forwarded-for": address } });
  assert.deepEqual([(await visit("1.1.1.1, 9.9.9.9")).status, (await visit("2.2.2.2, 9.9.9.9")).status], [200, 200]);
  assert.equal((await visit("3.3.3.3, 9.9.9.9")).status, 429);
  assert.equal((await visit("8.8.8.8")).status, 200);
});

test("a grant is for whoever is signed in, and its types are theirs", { skip }, async () => {
  assert.equal((await post("/auth/grant")).status, 401);
  const cookie = await login("ada");
  assert.equal((await post("/auth/grant", { cookie, "sec-fetch-site": "cross-site" })).status, 403);
  const response = await post("/auth/grant", { cookie, "sec-fetch-site": "same-origin" });
  assert.equal(response.headers.get("cache-control"), "no-store");
  const { grant } = (await response.json()) as { grant: string };
  const holder = createClient({ url: restis.url, token: grant });
  const event = (type: string) => ({ type, id: crypto.randomUUID() });
  const { results } = await holder.events.sync({ client: "c", epoch: 1, first: 1, events: [event("note.ada"), event("note.eve")] });
  assert.deepEqual(results.map(({ status }) => status), ["accepted", "rejected"]);
});

test("while the functions are away: nobody seems signed out, limits let pass, grants say 503", { skip }, async () => {
  const cookie = await login("ada");
  functions.away = true;
  try {
    assert.doesNotMatch(await page("/", cookie), />nobody</);
    assert.equal((await fetch(`${next.url}/search?q=away`, { headers: { "x-test": "away" } })).status, 200);
    assert.equal((await post("/auth/grant", { cookie })).status, 503);
  } finally {
    functions.away = false;
  }
  assert.match(await page("/", cookie), />ada</);
});

const report = async (of: NextServer): Promise<string> => (await fetch(`${of.url}/report`)).json() as Promise<string>;
/**
 * A value that is kept, and another one than `before`. Next.js may record an invalidation after it has
 * answered, reads at the same time may each begin a load, and a busy machine may miss the store's time.
 */
async function kept(of: NextServer, before?: string): Promise<string> {
  for (;;) {
    const value = await report(of);
    if (value !== before && value === (await report(of))) return value;
  }
}
/** A value that both processes serve, the one first that is named first. */
async function shared(first: NextServer, second: NextServer, before?: string): Promise<string> {
  for (;;) {
    const value = await kept(first, before);
    if (value === (await report(second))) return value;
  }
}
const renew = async (body: object) => assert.equal((await post("/renew", {}, body)).status, 204);

test("two processes cache one value, until a tag is revalidated, by either or by a Rust function", { skip }, async () => {
  const first = await shared(next, other);

  await renew({ tag: "report", profile: { expire: 0 } });
  const second = await shared(other, next, first);

  const rust = createClient({ url: restis.url, token: restis.token });
  await rust.cache.invalidate({ organisation: "acme", tags: ["report"] });
  assert.notEqual(await report(other), second);
  const third = await shared(next, other, second);

  // With a profile the old value is served while a new one is loaded, and then cached again.
  await renew({ tag: "report", profile: "max" });
  await shared(other, next, third);
});

test("updateTag in a Server Action shows the new value at once, in the other process too", { skip }, async () => {
  const tab = await browser.newPage();
  await tab.goto(`${next.url}/page-with-life`);
  const before = await tab.textContent("#report");
  await tab.click("#update");
  await tab.waitForFunction((before) => document.getElementById("report")?.textContent !== before, before);
  const now = await tab.textContent("#report");
  await tab.goto(`${other.url}/page-with-life`);
  assert.equal(await tab.textContent("#report"), now);
  assert.equal(await report(other), now);
  await tab.close();
});

test("while the store is away pages render, and afterwards nothing old is served", { skip }, async () => {
  const before = await report(next);
  store.away = true;
  try {
    const response = await fetch(`${next.url}/report`);
    assert.equal(response.status, 200);
    assert.equal((await fetch(`${other.url}/page-with-life`)).status, 200);
  } finally {
    store.away = false;
  }
  await createClient({ url: restis.url, token: restis.token }).cache.invalidate({ organisation: "acme", tags: ["report"] });
  // The handler leaves the store alone for two seconds: each of these is loaded, none is old.
  assert.notEqual(await report(next), before);
  assert.notEqual(await kept(next), before);
});

// EventStream and Outbox in Chromium: tabs, reloads, killed tabs, no network, no storage.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { createClient } from "restis";
import { openBrowser, skipBrowser } from "./support/chromium.js";
import { skip as skipRestis, startRestis, type Restis } from "./support/restis.js";
import { startSite, type Site } from "./support/site.js";

const skip = skipRestis || skipBrowser;
const code = `
import { EventStream, Outbox } from "restis/browser";
window.seen = []; window.resets = []; window.warnings = []; window.rejected = []; window.thrown = [];
addEventListener("error", (event) => { window.thrown.push(event.message); event.preventDefault(); });
window.follow = (subject, after) => {
  window.stream = new EventStream({ grant: "/auth/grant?subject=" + subject, subject, types: ["note.*"], after });
  window.stream.subscribe({ event: () => { if (window.throws) throw new Error("a fault of the page"); } });
  window.stream.subscribe({ event: ({ data, cursor }) => window.seen.push([data, cursor]), reset: ({ reason }) => window.resets.push(reason) });
};
window.reach = (url, granted) => {
  const grant = async () => granted;
  window.stream = new EventStream({ url, grant, types: ["note.*"] });
  window.stream.subscribe({ event: ({ data, cursor }) => window.seen.push([data, cursor]) });
  window.outbox = new Outbox({ url, grant, subject: "ada" });
};
window.openOutbox = (subject) => {
  window.outbox = new Outbox({
    subject, grant: "/auth/grant?subject=" + subject,
    onRejected: (event, detail) => window.rejected.push(detail),
    onWarning: (message) => window.warnings.push(message),
  });
  window.outbox.start();
};
`;

declare global {
  interface Window {
    seen: [unknown, string][];
    resets: string[];
    warnings: string[];
    rejected: string[];
    thrown: string[];
    throws: boolean;
    stream: import("restis/browser").EventStream;
    outbox: import("restis/browser").Outbox;
    follow(subject: string, after?: string): void;
    openOutbox(subject: string): void;
    reach(url: string, granted: { grant: string; expires_ms: number }): void;
  }
}

let restis: Restis;
let site: Site;
let browser: Browser;
let context: BrowserContext;
before(async () => {
  if (skip) return;
  restis = await startRestis();
  site = await startSite(() => restis, code);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await site?.stop();
  await restis?.stop();
});
afterEach(async () => {
  await context?.close();
  if (site) Object.assign(site, { fail: () => undefined, lose: () => false });
});

let subjects = 0;
const newSubject = () => `user-${++subjects}-${process.pid}`;

async function tab(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => typeof window.follow === "function");
  return page;
}

async function followIn(page: Page, subject: string, after?: string): Promise<void> {
  await page.evaluate(([subject, after]) => window.follow(subject!, after), [subject, after]);
  await page.waitForFunction(() => window.stream.state === "live" && window.stream.cursor !== undefined);
}

const publish = (data: unknown) => site.client.events.publish({ type: "note.added", data });
const dataIn = (page: Page) => page.evaluate(() => window.seen.map(([data]) => data));
const until = (page: Page, count: number) => page.waitForFunction((count) => window.seen.length >= count, count);

test("tabs of one subject share a connection, also when the one that holds it is closed", { skip }, async () => {
  context = await browser.newContext();
  const subject = newSubject();
  const [first, second, third] = [await tab(), await tab(), await tab()];
  for (const page of [first, second, third]) await followIn(page, subject);
  assert.equal(site.streams, 1);
  await publish(1);
  for (const page of [first, second, third]) await until(page, 1);
  await first.close();
  await publish(2);
  await publish(3);
  for (const page of [second, third]) await until(page, 3);
  await second.waitForFunction(() => window.stream.state === "live");
  assert.equal(site.streams, 1);
  // Nothing more comes twice: the next event is the last one seen.
  await publish(4);
  for (const page of [second, third]) {
    await until(page, 4);
    assert.deepEqual(await dataIn(page), [1, 2, 3, 4]);
    assert.deepEqual(await page.evaluate(() => window.resets), []);
  }
});

test("tabs of different subjects do not share", { skip }, async () => {
  context = await browser.newContext();
  const [first, second] = [await tab(), await tab()];
  await followIn(first, newSubject());
  await followIn(second, newSubject());
  assert.equal(site.streams, 2);
});

test("a tab that comes later, with the place of its state, catches up and misses nothing", { skip }, async () => {
  context = await browser.newContext();
  const subject = newSubject();
  const first = await tab();
  await followIn(first, subject);
  const { cursor } = await publish(1);
  for (let data = 2; data <= 5; data++) await publish(data);
  await until(first, 5);
  const late = await tab();
  await followIn(late, subject, cursor!);
  await until(late, 4);
  await publish(6);
  await until(late, 5);
  assert.deepEqual(await dataIn(late), [2, 3, 4, 5, 6]);
  assert.equal(site.streams, 1);
});

test("a fault of one subscriber is reported and keeps nothing from the others", { skip }, async () => {
  context = await browser.newContext();
  const page = await tab();
  await page.evaluate(() => (window.throws = true));
  await followIn(page, newSubject());
  await publish(1);
  await until(page, 1);
  await page.waitForFunction(() => window.thrown.length === 1);
});

test("without a network the stream waits, and goes on when it is back", { skip }, async () => {
  context = await browser.newContext();
  const page = await tab();
  await followIn(page, newSubject());
  const pid = restis.process.pid;
  await context.setOffline(true);
  // The emulation leaves open connections alone: the site ends them as a lost network would.
  await page.evaluate(() => (window.stream.close(), window.stream.subscribe({ event: ({ data, cursor }) => void window.seen.push([data, cursor!]) })));
  await page.waitForFunction(() => window.stream.state === "waiting");
  await publish("meanwhile");
  await context.setOffline(false);
  await until(page, 1);
  assert.equal(restis.process.pid, pid);
});

/** Where events are stored, by id. */
const places = new Map<string, string[]>();
const stored = async (subject: string, from: string) => {
  const ids: string[] = [];
  for (let after = from, more = true; more; ) {
    const page = await site.client.events.history({ after, type: "note.kept", limit: 500 });
    for (const { event, offset, received_ms } of page.events) {
      if (!event.source.startsWith(`/subjects/${subject}`)) continue;
      ids.push(event.id);
      places.set(event.id, [...(places.get(event.id) ?? []), `${offset} at ${received_ms} of ${event.source}`]);
    }
    more = page.has_more;
    after = page.cursor;
  }
  return ids;
};
const place = async () => (await publish("place")).cursor!;
const add = (page: Page, data: unknown) => page.evaluate((data) => window.outbox.add({ type: "note.kept", data }), data);
const sent = (page: Page) => page.waitForFunction(() => window.outbox.status.pending === 0 && window.outbox.status.state === "idle");

test("what is added without a network is kept across a reload and sent once, in order", { skip }, async () => {
  context = await browser.newContext();
  const [subject, from] = [newSubject(), await place()];
  const page = await tab();
  site.fail = (path) => (path === "/api/events/sync" ? 503 : undefined);
  await page.evaluate((subject) => window.openOutbox(subject), subject);
  const ids: string[] = [];
  for (let count = 0; count < 150; count++) ids.push(...(await add(page, count)));
  await page.waitForFunction(() => window.outbox.status.pending === 150 && window.outbox.status.state === "waiting");
  const waiting = await page.evaluate(async () => (await window.outbox.waiting()).map(({ id }) => id));
  assert.deepEqual(waiting, ids.slice(0, 100));
  await page.reload();
  await page.waitForFunction(() => typeof window.openOutbox === "function");
  await page.evaluate((subject) => window.openOutbox(subject), subject);
  await page.waitForFunction(() => window.outbox.status.pending === 150);
  site.fail = () => undefined;
  await page.evaluate(() => window.outbox.retry());
  await sent(page);
  assert.deepEqual(await stored(subject, from), ids);
});

test("offline in the browser, then online: it is sent at once", { skip }, async () => {
  context = await browser.newContext();
  const [subject, from] = [newSubject(), await place()];
  const page = await tab();
  await page.evaluate((subject) => window.openOutbox(subject), subject);
  await context.setOffline(true);
  const ids = await add(page, 1);
  await page.waitForFunction(() => window.outbox.status.state === "waiting");
  await context.setOffline(false);
  await sent(page);
  assert.deepEqual(await stored(subject, from), ids);
});

test("answers that are lost, tabs that are killed: nothing lost, nothing twice", { skip }, async () => {
  const rounds = Number(process.env.RESTIS_ROUNDS ?? 5);
  context = await browser.newContext();
  const [subject, from] = [newSubject(), await place()];
  const kept: string[] = [];
  let seed = Number(process.env.RESTIS_SEED ?? 7);
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  site.lose = (path) => path === "/api/events/sync" && random(3) === 0;
  for (let round = 0; round < rounds; round++) {
    const pages = [await tab(), await tab()];
    for (const page of pages) await page.evaluate((subject) => window.openOutbox(subject), subject);
    // Each tab adds without end; an id counts as kept once `add` has resolved.
    const adding = pages.map(async (page) => {
      await page.exposeFunction("kept", (ids: string[]) => void kept.push(...ids));
      await page.evaluate(async () => {
        for (let count = 0; count < 60; count++) (window as unknown as { kept(ids: string[]): void }).kept(await window.outbox.add({ type: "note.kept", data: count }));
      }).catch(() => {});
    });
    const most = kept.length + 1 + random(100);
    while (kept.length < most) await new Promise((resolve) => setImmediate(resolve));
    const killed = pages[random(2)]!;
    // A crash takes the other tab along, where they share a process.
    if (round % 2) {
      const crashed = killed.waitForEvent("crash");
      const session = await context.newCDPSession(killed);
      // The browser does not answer this.
      session.send("Page.crash").catch(() => {});
      await crashed;
    } else {
      await killed.close();
    }
    await Promise.all(adding);
    for (const page of pages) if (!page.isClosed()) await page.close();
  }
  site.lose = () => false;
  const page = await tab();
  await page.evaluate((subject) => window.openOutbox(subject), subject);
  kept.push(...(await add(page, "last")));
  await sent(page);
  const ids = await stored(subject, from);
  assert.deepEqual(ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => places.get(id)), [], "an event is stored twice");
  assert.deepEqual(kept.filter((id) => !ids.includes(id)), [], "an event is lost");
});

test("without storage events are kept in memory, with a warning", { skip }, async () => {
  context = await browser.newContext();
  const [subject, from] = [newSubject(), await place()];
  const page = await tab();
  await page.evaluate((subject) => {
    Object.defineProperty(window, "indexedDB", { value: { open: () => { throw new DOMException("denied", "SecurityError"); } } });
    window.openOutbox(subject);
  }, subject);
  const ids = await add(page, 1);
  await sent(page);
  assert.equal(await page.evaluate(() => window.outbox.status.durable), false);
  assert.equal(await page.evaluate(() => window.warnings.length), 1);
  assert.deepEqual(await stored(subject, from), ids);
});

test("what exceeds the quota goes to memory, with a warning, after what is stored", { skip }, async () => {
  context = await browser.newContext();
  const [subject, from] = [newSubject(), await place()];
  const page = await tab();
  await page.evaluate((subject) => window.openOutbox(subject), subject);
  await context.setOffline(true);
  const ids = await add(page, 1);
  await page.evaluate(() => {
    const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (...given) {
      if (this.name === "events") throw new DOMException("full", "QuotaExceededError");
      return put.apply(this, given);
    };
  });
  ids.push(...(await add(page, 2)), ...(await add(page, 3)));
  assert.deepEqual(await page.evaluate(() => [window.outbox.status.pending, window.outbox.status.durable, window.warnings.length]), [3, false, 1]);
  await context.setOffline(false);
  await sent(page);
  assert.deepEqual(await stored(subject, from), ids);
  assert.equal(await page.evaluate(() => window.outbox.status.durable), true);
});

test("a refused event is told and does not keep the others back", { skip }, async () => {
  context = await browser.newContext();
  const [subject, from] = [newSubject(), await place()];
  const page = await tab();
  await page.evaluate((subject) => window.openOutbox(subject), subject);
  await page.evaluate(() => window.outbox.add([{ type: "other.kind" }, { type: "note.kept" }]));
  await sent(page);
  assert.equal((await page.evaluate(() => window.rejected)).length, 1);
  assert.equal((await stored(subject, from)).length, 1);
});

test("on another origin, which CORS_ORIGINS allows, events come and go with a grant", { skip }, async () => {
  const far = await startRestis({ env: { CORS_ORIGINS: site.url } });
  try {
    const client = createClient({ url: far.url, token: far.token });
    const grant = await client.events.grant({ types: ["note.*"], publish: ["note.*"], subject: "ada" });
    context = await browser.newContext();
    const page = await tab();
    await page.evaluate(([url, grant]) => window.reach(url as string, grant as { grant: string; expires_ms: number }), [far.url, grant]);
    await page.waitForFunction(() => window.stream.state === "live");
    await add(page, "far");
    await sent(page);
    await until(page, 1);
    assert.deepEqual(await dataIn(page), ["far"]);
  } finally {
    await far.stop();
  }
});

test("the functions are started anew: the stream recovers without a reload", { skip }, async () => {
  context = await browser.newContext();
  const page = await tab();
  await followIn(page, newSubject());
  const { port } = restis;
  await restis.stop("SIGKILL");
  await page.waitForFunction(() => window.stream.state === "waiting");
  restis = await startRestis({ args: ["--functions-addr", `127.0.0.1:${port}`] });
  await page.waitForFunction(() => window.resets.length === 1);
  await publish("after");
  await until(page, 1);
});

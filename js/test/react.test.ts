// The hooks in Chromium under StrictMode, and rendered on a server.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { createElement, useRef } from "react";
import { renderToString } from "react-dom/server";
import { EventStream, Outbox } from "restis/browser";
import { useEvents, useEventStream, useOutbox, useRateLimit, useSession } from "restis/react";
import { openBrowser, skipBrowser } from "./support/chromium.js";
import { skip as skipRestis, startRestis, type Restis } from "./support/restis.js";
import { startSite, type Site } from "./support/site.js";

const skip = skipRestis || skipBrowser;
const code = `
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { createClient } from "restis";
import { EventStream, Outbox } from "restis/browser";
import { useEvents, useOutbox, useRateLimit, useSession } from "restis/react";
import { useCall, useRevalidateOn } from "restis/swr";
import { callOptions, useInvalidateOn } from "restis/tanstack";

const subject = new URLSearchParams(location.search).get("subject");
const stream = new EventStream({ grant: "/auth/grant?subject=" + subject, subject, types: ["note.*"] });
const outbox = new Outbox({ grant: "/auth/grant?subject=" + subject, subject });
const client = createClient();
window.renders = { session: 0, events: 0 };
window.outbox = outbox;

function Who({ id }) {
  const { session, signOut } = useSession();
  window.renders.session++;
  return <p id={id} onClick={signOut}>{session === undefined ? "loading" : session?.user ?? "nobody"}</p>;
}
function Rendered({ initial }) {
  const { session } = useSession({ initial });
  return <p id="rendered">{session?.user ?? "nobody"}</p>;
}
function Notes({ id, types }) {
  const [notes, setNotes] = useState([]);
  const state = useEvents(stream, { types, onEvent: ({ data }) => setNotes((known) => [...known, data]) });
  window.renders.events++;
  return <p id={id}>{state + " " + notes.join(",")}</p>;
}
function Box() {
  const { pending, state } = useOutbox(outbox);
  return <p id="outbox">{pending + " " + state}</p>;
}
function Limit() {
  const { limited, secondsLeft, note } = useRateLimit();
  window.note = note;
  return <p id="limit">{limited ? "wait " + secondsLeft : "go"}</p>;
}
function Swr() {
  const { data } = useCall(client, "session.list");
  useRevalidateOn(stream, ["note.*"], (key) => key[1] === "session.list");
  return <p id="swr">{data ? data.length + " sessions" : "loading"}</p>;
}
function Tanstack() {
  const { data } = useQuery(callOptions(client, "session.get"));
  useInvalidateOn(stream, ["note.*"], ["restis", "session.get"]);
  return <p id="tanstack">{data ? data.session?.user : "loading"}</p>;
}
function App() {
  const [shown, show] = useState(true);
  const [adapters, showAdapters] = useState(false);
  const [initial, render] = useState(undefined);
  window.show = show;
  window.render = render;
  window.showAdapters = showAdapters;
  return <><Who id="one" /><Who id="two" />{shown && <Notes id="first" types={["note.a"]} />}<Notes id="second" /><Box /><Limit />{initial !== undefined && <Rendered initial={initial} />}{adapters && <><Swr /><Tanstack /></>}</>;
}
const queries = new QueryClient();
createRoot(document.getElementById("root")).render(<StrictMode><QueryClientProvider client={queries}><App /></QueryClientProvider></StrictMode>);
`;

interface TestWindow {
  renders: { session: number; events: number };
  note(result: unknown): void;
  show(shown: boolean): void;
  showAdapters(shown: boolean): void;
  render(initial: unknown): void;
  outbox: Outbox;
}
const inPage = <A, R>(page: Page, action: (window: TestWindow, of: A) => R, of?: A) =>
  page.evaluate(`(${action})(window, ${JSON.stringify(of)})`) as Promise<Awaited<R>>;

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
afterEach(() => context?.close());

let users = 0;
async function tab(user: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(`${site.url}/?subject=${user}`);
  return page;
}
async function signedIn(): Promise<string> {
  context = await browser.newContext();
  const user = `user${++users}`;
  await context.request.post(`${site.url}/auth/login?user=${user}`);
  return user;
}
const shows = (page: Page, id: string, text: string) => page.waitForFunction(([id, text]) => document.getElementById(id!)?.textContent === text, [id, text]);

test("components share one request for the session; focus asks nothing and renders nothing", { skip }, async () => {
  const user = await signedIn();
  site.requests.length = 0;
  const page = await tab(user);
  await shows(page, "one", user);
  await shows(page, "two", user);
  await shows(page, "second", "live ");
  const asked = () => site.requests.filter((path) => path === "/api/session").length;
  assert.equal(asked(), 1);
  const renders = await inPage(page, (window) => ({ ...window.renders }));
  for (let count = 0; count < 20; count++) {
    await page.evaluate(() => {
      dispatchEvent(new Event("focus"));
      document.dispatchEvent(new Event("visibilitychange"));
      dispatchEvent(new Event("online"));
    });
  }
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(asked(), 1);
  assert.deepEqual(await inPage(page, (window) => ({ ...window.renders })), renders);
});

test("after a minute a visit reads the session again, once, and an equal one renders nothing", { skip }, async () => {
  const user = await signedIn();
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(`${site.url}/?subject=${user}`);
  await shows(page, "one", user);
  const renders = await inPage(page, (window) => window.renders.session);
  site.requests.length = 0;
  await page.clock.fastForward(61_000);
  const read = page.waitForResponse((response) => response.url().endsWith("/api/session"));
  await page.evaluate(() => {
    for (let count = 0; count < 5; count++) document.dispatchEvent(new Event("visibilitychange"));
  });
  await (await read).finished();
  await page.evaluate(() => Promise.resolve());
  assert.equal(site.requests.filter((path) => path === "/api/session").length, 1);
  assert.equal(await inPage(page, (window) => window.renders.session), renders);
});

test("who signs out in one tab is signed out in the other", { skip }, async () => {
  const user = await signedIn();
  const [first, second] = [await tab(user), await tab(user)];
  for (const page of [first, second]) await shows(page, "one", user);
  await first.click("#one");
  for (const page of [first, second]) await shows(page, "two", "nobody");
});

test("a component that goes takes no connection and no events from the others", { skip }, async () => {
  const user = await signedIn();
  const page = await tab(user);
  await shows(page, "second", "live ");
  const publish = (type: string, data: unknown) => site.client.events.publish({ type, data });
  await publish("note.a", 1);
  await publish("note.b", 2);
  await shows(page, "first", "live 1");
  await shows(page, "second", "live 1,2");
  await inPage(page, (window) => window.show(false));
  await publish("note.a", 3);
  await shows(page, "second", "live 1,2,3");
  assert.equal(site.streams, 1);
});

test("an outbox shows what waits", { skip }, async () => {
  const user = await signedIn();
  const page = await tab(user);
  await shows(page, "outbox", "0 idle");
  site.fail = (path) => (path === "/api/events/sync" ? 503 : undefined);
  await inPage(page, (window) => window.outbox.add({ type: "note.kept" }).then(() => {}));
  await shows(page, "outbox", "1 waiting");
  site.fail = () => undefined;
  await inPage(page, (window) => window.outbox.retry());
  await shows(page, "outbox", "0 idle");
});

test("a limit counts down the true time, second by second", { skip }, async () => {
  const user = await signedIn();
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(`${site.url}/?subject=${user}`);
  await shows(page, "limit", "go");
  await inPage(page, (window) => window.note({ allowed: false, retry_after_ms: 2_500 }));
  await shows(page, "limit", "wait 3");
  await page.clock.fastForward(600);
  await shows(page, "limit", "wait 2");
  // A page that slept shows what is left, not what it counted.
  await inPage(page, (window) => window.note({ limited: true, retryAfterMs: 60_000 }));
  await page.clock.fastForward(45_000);
  await shows(page, "limit", "wait 15");
  await page.clock.fastForward(15_000);
  await shows(page, "limit", "go");
});

test("a session that a server rendered later, such as after a Server Action, is shown at once and read once", { skip }, async () => {
  context = await browser.newContext();
  const page = await tab("nobody-yet");
  await shows(page, "one", "nobody");
  const asked = () => site.requests.filter((path) => path === "/api/session").length;
  // Somebody signed in without this script: the cookie is there, and a page that knows it.
  await context.request.post(`${site.url}/auth/login?user=late`);
  const { session } = await (await context.request.get(`${site.url}/api/session`)).json();
  const before = asked();
  await inPage(page, (window, session) => window.render(session), session);
  await shows(page, "rendered", "late");
  await shows(page, "one", "late");
  await page.waitForFunction(() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/api/session")).length === 2);
  assert.equal(asked(), before + 1);
  // And out again; an old page that says otherwise does not stay.
  await context.clearCookies();
  await inPage(page, (window) => window.render(null));
  await shows(page, "one", "nobody");
  await inPage(page, (window, session) => window.render({ ...session, version: 0 }), session);
  await shows(page, "rendered", "nobody");
  await shows(page, "one", "nobody");
});

test("SWR and TanStack Query read by calls and anew after an event", { skip }, async () => {
  const user = await signedIn();
  const page = await tab(user);
  await shows(page, "second", "live ");
  await inPage(page, (window) => window.showAdapters(true));
  await shows(page, "swr", "1 sessions");
  await shows(page, "tanstack", user);
  await site.client.sessions.create({ user });
  await site.client.events.publish({ type: "note.a" });
  await shows(page, "swr", "2 sessions");
});

test("on a server the hooks render what is given and ask nothing", (t) => {
  const asked = t.mock.method(globalThis, "fetch", () => assert.fail("a request"));
  const stream = new EventStream({ grant: "/auth/grant" });
  const outbox = new Outbox({ grant: "/auth/grant", subject: "u1" });
  function App() {
    const renders = useRef(0);
    renders.current++;
    const { session } = useSession({ initial: { id: "s", user: "ada", created_ms: 1, expires_ms: 2, ends_ms: 3, version: 1, data: {} } });
    const own = useEventStream({ grant: "/auth/grant", types: ["a.b"] });
    return `${session?.user} ${useEvents(stream)} ${useEvents(own)} ${useOutbox(outbox).pending} ${useRateLimit({ allowed: false, retry_after_ms: 5 }).secondsLeft}`;
  }
  assert.equal(renderToString(createElement(App)), "ada idle idle 0 0");
  const Unknown = () => (useSession().session === undefined ? "unknown" : "known");
  assert.equal(renderToString(createElement(Unknown)), "unknown");
  assert.equal(asked.mock.callCount(), 0);
});

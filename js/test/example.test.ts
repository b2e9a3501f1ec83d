// `examples/nextjs`, installed from the tarball of the package, built, and used in Chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { AxeResults } from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { createClient, type Client } from "restis";
import { openBrowser, skipBrowser } from "./support/chromium.js";
import { startForwarder, type Forwarder } from "./support/forward.js";
import { buildNext, startNext, type NextServer } from "./support/next.js";
import { install, pack, project, root, type Project } from "./support/packed.js";
import { binary, skip as skipRestis, startRedisStore, startRestis, type RedisStore, type Restis } from "./support/restis.js";

const skip = skipRestis || skipBrowser;
const policies = {
  default: { algorithm: "fixed-window", limit: 1_000, window: "1m" },
  login: { algorithm: "fixed-window", limit: 1_000, window: "1m" },
  contact: { algorithm: "fixed-window", limit: 1, window: "30s" },
};
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

let app: Project;
let state: Project;
/** The store is a program of its own, so that it can be away while the functions are there. */
let store: RedisStore;
let restis: Restis;
/** In front of the functions, which get another address with each start. */
let functions: Forwarder;
let rest: Forwarder;
let site: NextServer;
let browser: Browser;
const contexts: BrowserContext[] = [];
/** What pages logged as errors, beside requests that failed while something was away. */
const problems: string[] = [];

const startFunctions = () => startRestis({ directory: state.directory, args: ["--redis", store.url], env: { RATE_LIMIT_POLICIES: JSON.stringify(policies) } });
const client = (): Client => createClient({ url: restis.url, token: restis.token });

before(async () => {
  if (skip) return;
  state = project("state");
  store = await startRedisStore(join(state.directory, "store"));
  restis = await startFunctions();
  functions = await startForwarder(() => restis.url);
  rest = await startForwarder(() => restis.store.url);
  app = project("example", join(root, "../examples/nextjs"));
  await install(app, { restis: await pack(app.directory) });
  const env = {
    API_URL: functions.url,
    RESTIS_SERVICE_TOKEN: restis.token,
    UPSTASH_REDIS_REST_URL: rest.url,
    UPSTASH_REDIS_REST_TOKEN: restis.store.token,
  };
  await buildNext(env, app.directory);
  site = await startNext(env, app.directory);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await site?.stop();
  functions?.stop();
  rest?.stop();
  await restis?.stop();
  await store?.stop();
  app?.remove();
  state?.remove();
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
  assert.deepEqual(problems.splice(0), []);
});

async function device(options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const context = await browser.newContext(options);
  contexts.push(context);
  context.setDefaultTimeout(60_000);
  context.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) problems.push(message.text());
  });
  context.on("weberror", (error) => void problems.push(String(error.error().stack)));
  return context;
}

let users = 0;
async function signedIn(context: BrowserContext, user = `ada${++users}`): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.getByLabel("Name").fill(user);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Rooms" }).waitFor();
  await live(page);
  return page;
}
const live = (page: Page) => page.getByText("Live", { exact: true }).waitFor();
async function open(context: BrowserContext, path: string, heading: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.url + path);
  await page.getByRole("heading", { name: heading }).waitFor();
  await live(page);
  return page;
}
const slot = (page: Page, room: string, day: string) => page.getByRole("region", { name: room }).getByRole("button", { name: day });
const shows = (page: Page, room: string, day: string, text: string) => slot(page, room, day).getByText(text).waitFor();

test("two tabs see each other's bookings through one connection, and a later one loads the history", { skip }, async () => {
  const context = await device();
  const first = await signedIn(context, "ada");
  const second = await open(context, "/", "Rooms");
  assert.equal(functions.streams, 1);
  await slot(first, "Harbour", "Monday").click();
  await shows(second, "Harbour", "Monday", "booked by you");
  await slot(second, "Library", "Friday").click();
  await shows(first, "Library", "Friday", "booked by you");
  assert.equal(functions.streams, 1);

  const other = await signedIn(await device(), "bob");
  await shows(other, "Harbour", "Monday", "booked by ada");
  assert.equal(await slot(other, "Harbour", "Monday").getAttribute("aria-disabled"), "true");
  await slot(first, "Harbour", "Monday").click();
  await shows(other, "Harbour", "Monday", "free");
  await slot(other, "Harbour", "Monday").click();
  await shows(first, "Harbour", "Monday", "booked by bob");
  // What was there before a page was opened, and what came to a page that is not shown, are not lost.
  await first.getByRole("link", { name: "Notes" }).click();
  await first.getByRole("heading", { name: "Notes" }).waitFor();
  await slot(other, "Lighthouse", "Tuesday").click();
  await shows(second, "Lighthouse", "Tuesday", "booked by bob");
  await first.getByRole("link", { name: "Rooms" }).click();
  await shows(first, "Lighthouse", "Tuesday", "booked by bob");
});

test("who signs out in one tab is signed out in the other; the next one who signs in is shown", { skip }, async () => {
  const context = await device();
  const first = await signedIn(context);
  const second = await open(context, "/notes", "Notes");
  await first.getByRole("button", { name: "Sign out" }).click();
  await first.getByRole("heading", { name: "Sign in" }).waitFor();
  await second.getByRole("heading", { name: "Sign in" }).waitFor();
  await second.getByText("You are signed out.").waitFor();
  await first.getByLabel("Name").fill("grace");
  await first.getByRole("button", { name: "Sign in" }).click();
  await first.getByRole("banner").getByText("grace").waitFor();
});

test("a session that is ended on one device signs all tabs of the other out", { skip }, async () => {
  const user = `eve${process.pid}`;
  const phone = await device({ userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1" });
  const tabs = [await signedIn(phone, user), await open(phone, "/notes", "Notes")];
  const laptop = await signedIn(await device(), user);
  await laptop.getByRole("link", { name: "Devices" }).click();
  const end = laptop.getByRole("button", { name: /^End the session on Safari .*iOS/ });
  await end.waitFor();
  assert.equal(await laptop.getByText("this one").count(), 1);
  await end.click();
  await laptop.getByText("The session is ended.").waitFor();
  for (const page of tabs) await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await end.waitFor({ state: "detached" });
});

test("the limited form counts down what the limit says, and works again then", { skip }, async () => {
  const page = await signedIn(await device());
  await page.getByRole("link", { name: "Contact" }).click();
  const send = page.getByRole("button", { name: /^(Send|Wait)/ });
  const write = async (text: string) => {
    await page.getByLabel("Message").fill(text);
    await send.click();
  };
  const refused = page.getByText("You have sent many messages");
  // The second one is refused, unless the window ended between the two.
  for (let count = 1; ; count++) {
    await write(`message ${count}`);
    await refused.or(page.getByText("your message has arrived")).waitFor();
    if (await refused.isVisible()) break;
    assert.ok(count < 5, "nothing is refused");
    await page.reload();
    await live(page);
  }
  const identifier = await page.evaluate(async () => (await (await fetch("/api/session")).json()).session.id as string);
  const began = Date.now();
  const shown = Number(/Wait (\d+) s/.exec((await send.textContent()) ?? "")?.[1]);
  const { retry_after_ms: left, allowed } = await client().ratelimit.peek({ identifier, policy: "contact" });
  assert.equal(allowed, false);
  // Time passes between the two looks: what is left is at most what was shown, and no more than that less.
  const passed = Date.now() - began;
  assert.ok(shown * 1000 >= left! && shown * 1000 - left! <= passed + 2_000, `${shown} s shown, ${left} ms left ${passed} ms later`);
  await page.getByRole("button", { name: "Send" }).waitFor();
  assert.ok(Date.now() - began >= left! - 50, "the button was free too early");
  await write("the last one");
  await page.getByText("your message has arrived").waitFor();
});

test("the report is made once, and anew when a booking or a service changes it", { skip }, async () => {
  const context = await device();
  const rooms = await signedIn(context);
  const report = await open(context, "/report", "Report");
  const made = (page: Page) => page.locator("time").getAttribute("datetime");
  const booked = async (page: Page) => Number(await page.getByRole("row", { name: "Lighthouse" }).getByRole("cell").first().textContent());
  const before = await made(report);
  const other = await open(await (async () => (await signedIn(await device())).context())(), "/report", "Report");
  assert.equal(await made(other), before);
  const count = await booked(report);
  await slot(rooms, "Lighthouse", "Thursday").click();
  for (const page of [report, other]) await page.getByRole("row", { name: "Lighthouse" }).getByRole("cell", { name: String(count + 1), exact: true }).first().waitFor();
  const between = await made(report);
  assert.notEqual(between, before);
  // A service in another language invalidates the same tag, and says so.
  await client().cache.invalidate({ tags: ["bookings"] });
  await client().events.publish({ type: "report.changed" });
  await report.waitForFunction((between) => document.querySelector("time")?.dateTime !== between, between);
});

const note = async (page: Page, text: string) => {
  await page.getByLabel("Note").fill(text);
  await page.getByRole("button", { name: "Add" }).click();
};

test("notes without a network are shown as not sent, and go out by themselves", { skip }, async () => {
  const context = await device();
  await signedIn(context);
  const page = await open(context, "/notes", "Notes");
  await context.setOffline(true);
  await note(page, "milk");
  await note(page, "bread");
  await page.getByText("2 notes are not sent yet").waitFor();
  assert.equal(await page.getByText("not sent yet", { exact: true }).count(), 2);
  await context.setOffline(false);
  await page.getByText("All notes are sent.").waitFor();
  assert.deepEqual(await page.locator(".notes li").allTextContents(), ["bread", "milk"]);
});

test("tabs that are killed while they write lose no note and store none twice", { skip }, async () => {
  const rounds = Number(process.env.RESTIS_ROUNDS ?? 5);
  const context = await device();
  const user = `mallory${process.pid}`;
  const keeper = await signedIn(context, user);
  const written: string[] = [];
  let seed = Number(process.env.RESTIS_SEED ?? 11);
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < rounds; round++) {
    const page = await open(context, "/notes", "Notes");
    await context.setOffline(round % 2 === 0);
    const many = 2 + random(4);
    for (let count = 0; count < many; count++) {
      const text = `note ${round}.${count}`;
      await note(page, text);
      // The field is emptied once the note is kept.
      await page.waitForFunction(() => document.querySelector<HTMLInputElement>("#note")?.value === "");
      written.push(text);
    }
    if (random(2)) {
      const crashed = page.waitForEvent("crash");
      const session = await context.newCDPSession(page);
      // The browser does not answer this.
      session.send("Page.crash").catch(() => {});
      await crashed;
    }
    await page.close();
    await context.setOffline(false);
  }
  const page = await open(context, "/notes", "Notes");
  await page.waitForFunction((count) => document.querySelectorAll(".notes li").length >= count, written.length);
  await page.getByText("All notes are sent.").waitFor();
  await keeper.close();
  const stored: string[] = [];
  for (let after: string | undefined, more = true; more; ) {
    const found = await client().events.history({ type: `note.${user}.added`, after, limit: 500 });
    for (const { event } of found.events) stored.push((event.data as { text: string }).text);
    more = found.has_more;
    after = found.cursor;
  }
  assert.deepEqual(stored.toSorted(), written.toSorted());
});

test("the store goes away: pages say so, keep what they have, and recover without a reload", { skip }, async () => {
  const context = await device();
  const page = await signedIn(context);
  const notes = await open(context, "/notes", "Notes");
  await page.evaluate(() => Object.assign(window, { here: true }));
  await store.stop("SIGKILL");
  await page.getByText(/The store is away|The connection is lost/).waitFor();
  await slot(page, "Harbour", "Wednesday").click();
  await page.getByText("The store is away, so nothing was changed.").waitFor();
  await note(notes, "while it was away");
  await notes.getByText("One note is not sent yet").waitFor();
  // A page that is opened now says what is the matter, and is there once the store is.
  const late = await context.newPage();
  await late.goto(`${site.url}/report`);
  await late.getByRole("alert").filter({ hasText: "The store is away" }).waitFor();
  store = await startRedisStore(join(state.directory, "store"), store.port);
  await live(page);
  await late.getByRole("heading", { name: "Report" }).waitFor();
  await notes.getByText("All notes are sent.").waitFor();
  await slot(page, "Harbour", "Wednesday").click();
  await shows(page, "Harbour", "Wednesday", "booked by you");
  assert.equal(await page.evaluate(() => (window as { here?: boolean }).here), true);
  // The page that could not be shown has logged that; nothing else has.
  for (const problem of problems.splice(0)) assert.match(problem, /React error #441|Server Components render/);
});

test("the functions are started anew: everything goes on without a reload", { skip }, async () => {
  const context = await device();
  const page = await signedIn(context);
  await page.evaluate(() => Object.assign(window, { here: true }));
  await restis.stop("SIGKILL");
  await page.getByText("The connection is lost").waitFor();
  restis = await startFunctions();
  await live(page);
  await slot(page, "Library", "Monday").click();
  await shows(page, "Library", "Monday", "booked by you");
  assert.equal(await page.evaluate(() => (window as { here?: boolean }).here), true);
});

for (const [colorScheme, width] of [["light", 1280], ["dark", 360]] as const) {
  test(`axe finds nothing on any page: ${colorScheme}, ${width} pixels wide`, { skip }, async () => {
    const context = await device({ colorScheme, viewport: { width, height: 800 } });
    const check = async (page: Page) => {
      await page.addScriptTag({ path: axe });
      const { violations } = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], page.url());
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${page.url()} is wider than the window`);
    };
    const page = await context.newPage();
    await page.goto(site.url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await check(page);
    await page.close();
    const user = `axe${width}`;
    const rooms = await signedIn(context, user);
    await slot(rooms, "Library", width > 400 ? "Tuesday" : "Wednesday").click();
    await shows(rooms, "Library", width > 400 ? "Tuesday" : "Wednesday", "booked by you");
    await check(rooms);
    for (const [path, heading] of [["/notes", "Notes"], ["/report", "Report"], ["/contact", "Contact"]] as const) await check(await open(context, path, heading));
    const devices = await open(context, "/devices", "Devices");
    await devices.getByText("this one").waitFor();
    await check(devices);
    const notes = await open(context, "/notes", "Notes");
    await context.setOffline(true);
    await note(notes, "unsent");
    await notes.getByText("One note is not sent yet").waitFor();
    await check(notes);
  });
}

test("the keyboard is enough: sign in, book, sign out", { skip }, async () => {
  const page = await (await device()).newPage();
  await page.goto(site.url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  /** Goes on until the element that has the focus has this name. */
  const tabTo = async (name: RegExp) => {
    for (let count = 0; count < 40; count++) {
      await page.keyboard.press("Tab");
      const text = await page.evaluate(() => document.activeElement?.getAttribute("id") === "user" ? "Name" : document.activeElement?.textContent ?? "");
      if (name.test(text)) return;
    }
    assert.fail(`no way to ${name}`);
  };
  await tabTo(/^Name$/);
  await page.keyboard.type("keys");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Rooms" }).waitFor();
  await live(page);
  await tabTo(/^Thursday/);
  await page.keyboard.press("Enter");
  await shows(page, "Harbour", "Thursday", "booked by you");
  await page.keyboard.press("Home");
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await tabTo(/^Sign out$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
});

/** `npm run dev`, and what it prints. */
function dev(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, ["scripts/dev.mjs", ...args], { cwd: app.directory, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", ...env } });
  const printed = { text: "" };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (more: string) => (printed.text += more));
  return { child, printed, exited: once(child, "exit") };
}

test("npm run dev starts the store, the functions and the site, and ends them", { skip }, async () => {
  const env = { RESTIS_BIN: binary, RESTIS_ADDR: "127.0.0.1:0", RESTIS_FUNCTIONS_ADDR: "127.0.0.1:0", RESTIS_RESP: "off", RESTIS_EPHEMERAL: "true", API_URL: "" };
  const { child, printed, exited } = dev(env, "--port", "0", "--hostname", "127.0.0.1");
  const ended = exited.then(([code]) => assert.fail(`it ended with ${code}: ${printed.text}`));
  const found = (pattern: RegExp) =>
    new Promise<string>((resolve) => {
      const look = () => {
        const [, value] = pattern.exec(printed.text) ?? [];
        if (value) resolve(value);
      };
      child.stdout.on("data", look);
      look();
    });
  try {
    const url = await Promise.race([ended, found(/Local:\s+(http:\S+)/)]);
    const health = await fetch(`${url}/api/health`);
    assert.equal((await health.json()).status, "ok");
    assert.match(await (await fetch(`${url}/login`)).text(), /Sign in/);
  } finally {
    ended.catch(() => {});
    child.kill();
    await exited;
  }
  const functions = /functions\s+(http:\S+)/.exec(printed.text)?.[1] ?? "";
  await assert.rejects(fetch(`${functions}/api/health`));
});

test("npm run dev without the program is one line that says what to do", { skip }, async () => {
  const { printed, exited } = dev({ RESTIS_BIN: "", PATH: "", API_URL: "" });
  assert.equal((await exited)[0], 127);
  assert.match(printed.text, /^the program restis is not here: .*npm install.*\n$/);
});

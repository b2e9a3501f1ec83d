// The handlers of `use cache`, ISR and `fetch` over the store of `restis dev`: one test for each point
// that a right handler meets, and what a Rust function invalidates.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createClient } from "restis";
import { createCacheHandler, tagOf, type CacheEntry, type CacheHandler } from "restis/next/cache";
import IncrementalCacheHandler from "restis/next/isr";
import { skip, startRestis, type Restis } from "./support/restis.js";

let restis: Restis;
before(async () => {
  if (!skip) restis = await startRestis();
});
after(() => restis?.stop());

/** A handler as of another process. */
const handler = (): CacheHandler => createCacheHandler({ store: restis.store });
const away = (): CacheHandler => createCacheHandler({ store: { url: "http://127.0.0.1:1", token: "t" } });
const localNow = () => performance.timeOrigin + performance.now();

const stream = (text: string) => new Response(text).body as ReadableStream<Uint8Array>;
const entry = (text: string, tags: string[] = [], more: Partial<CacheEntry> = {}): CacheEntry => ({
  value: stream(text), tags, stale: 60, timestamp: localNow(), expire: 3_600, revalidate: 600, ...more,
});
const text = (found: CacheEntry | undefined) => (found ? new Response(found.value).text() : undefined);

let names = 0;
const name = (of: string) => `${of}-${process.pid}-${++names}`;

/** Reads, and on a miss loads, as Next.js does. */
async function load(of: CacheHandler, key: string, tags: string[], value: string, softTags: string[] = []): Promise<void> {
  await of.get(key, softTags);
  await of.set(key, Promise.resolve(entry(value, tags)));
}

async function command(...words: (string | number)[]): Promise<unknown> {
  const response = await fetch(restis.store.url, { method: "POST", headers: { authorization: `Bearer ${restis.store.token}` }, body: JSON.stringify(words) });
  return ((await response.json()) as { result: unknown }).result;
}

test("1: each hit has a stream of its own, and a read never throws", { skip }, async () => {
  const [key, writer, reader] = [name("key"), handler(), handler()];
  const value = "grüezi ".repeat(10_000);
  await load(writer, key, [], value);
  assert.equal(await text(await reader.get(key, [])), value);
  assert.equal(await text(await reader.get(key, [])), value);
  assert.equal(await away().get(key, []), undefined);
  for (const garbage of ["", "1|", "1|{\n", "1|{}\n%%%", '1|{"tags":[],"seen":{},"loadedAt":0,"meta":{"zipped":true}}\nAAAA']) {
    await command("SET", `cache:#next:${key}`, garbage);
    assert.equal(await reader.get(key, []), undefined, garbage);
  }
  await command("DEL", `cache:#next:${key}`);
  await command("RPUSH", `cache:#next:${key}`, "a list");
  assert.equal(await reader.get(key, []), undefined);
});

test("1: a store that does not answer is given up soon, and left alone for a while", async (t) => {
  let requests = 0;
  const server = createServer(() => requests++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const hanging = createCacheHandler({ store: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "t" }, timeoutMs: 30 });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  for (let count = 0; count < 20; count++) assert.equal(await hanging.get("key", []), undefined);
  assert.ok(requests <= 3, `${requests} requests`);
});

test("2: a read waits for a pending write, and a stream that fails leaves nothing", { skip }, async () => {
  const [key, of] = [name("key"), handler()];
  let finish = (_: CacheEntry) => {};
  const set = of.set(key, new Promise((resolve) => (finish = resolve)));
  const get = of.get(key, []);
  finish(entry("late"));
  assert.equal(await text(await get), "late");
  await set;

  const failing = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("half"));
      controller.error(new Error("a fault of the page"));
    },
  });
  const other = name("key");
  await of.set(other, Promise.resolve(entry("", [], { value: failing })));
  await of.set(other, Promise.reject(new Error("no entry")));
  assert.equal(await of.get(other, []), undefined);
});

test("3: an entry's own tags are checked, in every process", { skip }, async () => {
  const [key, tag, first, second] = [name("key"), name("tag"), handler(), handler()];
  await load(first, key, [tag, name("other")], "old");
  assert.equal(await text(await second.get(key, [])), "old");
  await second.updateTags([tag]);
  assert.equal(await first.get(key, []), undefined);
  assert.equal(await second.get(key, []), undefined);
  await load(first, key, [tag], "new");
  assert.equal(await text(await second.get(key, [])), "new");
});

test("4: after `revalidateTag(tag, 'max')` what is loaded anew is cached; what was there ends in its time", { skip }, async () => {
  const [key, tag, of] = [name("key"), name("tag"), handler()];
  await load(of, key, [tag], "old");
  await of.updateTags([tag], { expire: 31_536_000 });
  assert.equal((await of.get(key, []))?.revalidate, -1);
  await load(of, key, [tag], "new");
  const found = await of.get(key, []);
  assert.equal(await text(found), "new");
  assert.equal(found?.revalidate, 600);
  await of.updateTags([tag], { expire: 1 });
  assert.equal((await of.get(key, []))?.revalidate, -1);
  while (await of.get(key, [])) await new Promise((resolve) => setImmediate(resolve));
});

test("5: with durations it is stale now, without them gone now", { skip }, async () => {
  const [key, tag, of] = [name("key"), name("tag"), handler()];
  await load(of, key, [tag], "value");
  await of.updateTags([tag], { expire: 60 });
  const stale = await of.get(key, []);
  assert.equal(stale?.revalidate, -1);
  assert.equal(await text(stale), "value");
  await of.updateTags([tag]);
  assert.equal(await of.get(key, []), undefined);
  // What was removed does not come back as stale.
  await of.updateTags([tag], { expire: 60 });
  assert.equal(await of.get(key, []), undefined);
});

test("6: soft tags are checked by the read itself, also those of other pages", { skip }, async () => {
  const [key, of] = [name("key"), handler()];
  const [here, there] = [name("_N_T_/here"), name("_N_T_/there")];
  assert.equal(await of.getExpiration([here]), Infinity);
  await load(of, key, [], "value", [here]);
  await handler().updateTags([there]);
  assert.equal(await text(await of.get(key, [here])), "value");
  assert.equal(await of.get(key, [there]), undefined);
  await load(of, key, [], "new", [there]);
  assert.equal(await text(await of.get(key, [there])), "new");
  assert.equal(await text(await of.get(key, [here])), "new");
  await handler().updateTags([here]);
  assert.equal(await of.get(key, [here]), undefined);
});

test("7: refreshing tags reads nothing and does not throw", async (t) => {
  let requests = 0;
  const server = createServer(() => requests++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  await createCacheHandler({ store: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "t" } }).refreshTags();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(requests, 0);
  await away().refreshTags();
});

test("8: an update that is not recorded throws", { skip }, async () => {
  await assert.rejects(away().updateTags([name("tag")]));
  await assert.rejects(createCacheHandler({ store: { ...restis.store, token: "wrong" } }).updateTags([name("tag")]));
});

test("9: nothing is kept for no time; without an end it has no expiry; private tags stay; keys are opaque", { skip }, async () => {
  const of = handler();
  const none = name("key");
  await of.set(none, Promise.resolve(entry("x", [], { expire: 0 })));
  assert.equal(await command("EXISTS", `cache:#next:${none}`), 0);

  const [endless, tag] = [name("key"), name("tag")];
  await of.set(endless, Promise.resolve(entry("x", [tag, "_N_RP_locale"], { expire: Infinity, revalidate: Infinity, stale: Infinity })));
  const found = await of.get(endless, []);
  assert.deepEqual([found?.expire, found?.revalidate, found?.stale], [Infinity, Infinity, Infinity]);
  assert.deepEqual(found?.tags, [tag, "_N_RP_locale"]);
  assert.equal(await command("TTL", `cache:#next:${endless}`), -1);
  assert.equal(await command("TTL", `cache:#tag:${tag}`), -1);
  assert.equal(await command("EXISTS", "cache:#tag:_N_RP_locale"), 0);

  const odd = `["build","id",[{"a":"\\u0000\n ü{}"}]]${"x".repeat(2_000)}`;
  await of.set(odd, Promise.resolve(entry("odd", [], { expire: 60 })));
  assert.equal(await text(await of.get(odd, [])), "odd");
  const ended = name("key");
  await of.set(ended, Promise.resolve(entry("x", [], { expire: 60 })));
  const ttl = Number(await command("TTL", `cache:#next:${ended}`));
  assert.ok(ttl > 50 && ttl <= 60);
});

test("an invalidation during a load is not lost, whoever makes it, and the next load is cached", { skip }, async () => {
  const functions = createClient({ url: restis.url, token: restis.token });
  const tag = name("tag");
  const rust = tagOf("tagged:{organisation}:{tag}", "acme", tag);
  const invalidations: [string, () => Promise<unknown>][] = [
    [tag, () => handler().updateTags([tag])],
    [rust, () => functions.cache.invalidate({ organisation: "acme", tags: [tag] })],
  ];
  for (const [of, invalidate] of invalidations) {
    const key = name("key");
    const loader = handler();
    await loader.get(key, []);
    const loaded = entry("old", [of]);
    await invalidate();
    await loader.set(key, Promise.resolve(loaded));
    assert.equal(await handler().get(key, []), undefined);
    await load(loader, key, [of], "new");
    assert.equal(await text(await handler().get(key, [])), "new");
    // And again, when it is known which tags the key has; a second load is in between.
    await loader.updateTags([of]);
    await loader.get(key, []);
    const second = entry("older", [of]);
    await invalidate();
    await loader.get(key, []);
    await loader.set(key, Promise.resolve(second));
    assert.equal(await handler().get(key, []), undefined);
  }
});

test("a Rust function invalidates what Next.js cached, and expires it", { skip }, async () => {
  const functions = createClient({ url: restis.url, token: restis.token });
  const of = handler();
  for (const tag of ["property:p1", "ü {x} #1%", "plain"]) {
    const key = name("key");
    const shared = tagOf("tagged:{organisation}:{tag}", "acme", tag);
    await load(of, key, [shared], "value");
    // A tag of the same name of another organisation is another one.
    await functions.cache.invalidate({ organisation: "other", tags: [tag] });
    assert.equal(await text(await of.get(key, [])), "value");
    await functions.cache.invalidate({ organisation: "acme", tags: [tag], mode: "expire" });
    assert.equal((await of.get(key, []))?.revalidate, -1, tag);
    await functions.cache.invalidate({ organisation: "acme", tags: [tag] });
    assert.equal(await of.get(key, []), undefined, tag);
    await load(of, key, [shared], "new");
    assert.equal(await text(await of.get(key, [])), "new");
  }
});

test("and what is updated here is invalidated there", { skip }, async () => {
  const functions = createClient({ url: restis.url, token: restis.token });
  const key = name("report");
  const put = () => functions.cache.put({ organisation: "acme", key, value: 1, fresh_seconds: 60, stale_seconds: 60, tags: ["shared"] });
  const tag = tagOf("tagged:{organisation}:{tag}", "acme", "shared");
  const of = handler();
  await put();
  await of.updateTags([tag], { expire: 60 });
  assert.equal((await functions.cache.get({ organisation: "acme", key }))?.stale, true);
  await put();
  assert.equal((await functions.cache.get({ organisation: "acme", key }))?.stale, false);
  await of.updateTags([tag]);
  assert.equal(await functions.cache.get({ organisation: "acme", key }), null);
});

test("a node whose clock is a quarter of an hour off neither keeps old entries alive nor kills new ones", { skip }, async (t) => {
  const real = performance.now.bind(performance);
  for (const off of [900_000, -900_000]) {
    const [key, tag] = [name("key"), name("tag")];
    const shifted = t.mock.method(performance, "now", () => real() + off);
    await load(handler(), key, [tag], "value");
    shifted.mock.restore();
    const found = await handler().get(key, []);
    assert.ok(Math.abs(localNow() - found!.timestamp) < 60_000, "its age is by the clock of the store");
    await handler().updateTags([tag]);
    assert.equal(await handler().get(key, []), undefined);
  }
});

test("names of tags are those of `restis::cache`", () => {
  // The examples of docs/reference/KEYS.md and of `restis::identity::join`.
  assert.equal(tagOf("reports:{orgId}:{propertyId}:{date}", "acme", "p1", "2026-01-31"), "reports:{acme}:p1:2026-01-31");
  assert.equal(tagOf("a:{b}:c:{d}", "acme", "user 1"), "a:{acme}:#c:user%201");
  assert.equal(tagOf("posts"), "posts");
  assert.equal(tagOf("a:{b}", ""), "a:{%}");
  assert.throws(() => tagOf("a:{b}"), RangeError);
  assert.throws(() => tagOf("a", "x"), RangeError);
});

test("pages and fetched data: buffers and maps stay, tags and paths invalidate, a new build begins anew", { skip }, async () => {
  const root = mkdtempSync(join(tmpdir(), "restis-build-"));
  try {
    mkdirSync(join(root, "server"));
    const build = (id: string) => writeFileSync(join(root, "BUILD_ID"), id);
    const make = () => new IncrementalCacheHandler({ serverDistDir: join(root, "server") }, { store: restis.store });
    const [path, tag] = [`/${name("page")}`, name("tag")];
    const page = {
      kind: "APP_PAGE", html: "<p>ü</p>", rscData: Buffer.from([0, 255, 1]), status: 200, postponed: undefined,
      headers: { "x-next-cache-tags": `${tag},_N_T_${path}` }, segmentData: new Map([["/_tree", Buffer.from("tree")]]),
    };
    const context = { kind: "APP_PAGE", cacheControl: { revalidate: 60 as number | false, expire: 3_600 } };
    await make().set(path, page, context);
    assert.equal(await make().get(path, context), null, "no page of a build that is not finished");
    build(name("build"));
    assert.equal(await make().get(path, context), null);
    await make().set(path, page, context);
    const found = await make().get(path, context);
    assert.deepEqual(found?.value, JSON.parse(JSON.stringify({ ...page, rscData: 0, segmentData: 0 }), (key, value: unknown) => (key === "rscData" ? page.rscData : key === "segmentData" ? page.segmentData : value)));
    assert.deepEqual(found?.cacheControl, context.cacheControl);

    await make().revalidateTag(tag, { expire: 60 });
    const stale = await make().get(path, context);
    assert.ok(stale && stale.lastModified + Number(stale.cacheControl?.revalidate) * 1000 < localNow());
    await make().revalidateTag([`_N_T_${path}`]);
    assert.equal(await make().get(path, context), null);
    await make().set(path, page, context);
    assert.ok(await make().get(path, context));
    build(name("build"));
    assert.equal(await make().get(path, context), null);

    const url = name("fetch");
    const data = { kind: "FETCH", data: { headers: {}, body: "e30=", url: "https://example.com/" }, tags: [tag], revalidate: 60 };
    const get = { kind: "FETCH", tags: [tag], softTags: [`_N_T_${path}`] };
    assert.equal(await make().get(url, get), null);
    await make().set(url, data, { fetchCache: true, tags: [tag] });
    assert.deepEqual((await make().get(url, get))?.value, data);
    await make().revalidateTag(`_N_T_${path}`);
    assert.equal(await make().get(url, get), null);
  } finally {
    rmSync(root, { recursive: true });
  }
});

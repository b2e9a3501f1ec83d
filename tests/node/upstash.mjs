// What Upstash has and a plain Redis 7 does not, by the official client from npm.
import assert from "node:assert/strict";
import { Redis, s } from "@upstash/redis";
import { check, runChecks } from "./checks.mjs";

const redis = Redis.fromEnv({ enableAutoPipelining: false });

check("JSON finds the deepest match first", async () => {
  const value = { a: 2, b: 3, nested: { a: 4, b: null, list: [1] } };
  assert.equal(await redis.json.set("doc", "$", value), "OK");
  assert.deepEqual(await redis.json.get("doc", "$..b"), [null, 3]);
  assert.deepEqual(await redis.json.get("doc", "$..a", "$..b"), { "$..a": [4, 2], "$..b": [null, 3] });
  assert.deepEqual(await redis.json.mget(["doc", "none"], "$..a"), [[4, 2], null]);
  assert.deepEqual(await redis.json.arrappend("doc", "$..list", '"x"'), [2]);
  assert.equal(await redis.json.merge("doc", "$", { b: null, nested: { b: 1 } }), "OK");
  assert.deepEqual(await redis.json.get("doc"), { a: 2, nested: { a: 4, b: 1, list: [1, "x"] } });
  assert.deepEqual(await redis.json.objlen("doc", "$..nested"), [3]);
});

check("fields of a hash expire", async () => {
  await redis.hset("fields", { a: 1, b: 2, c: 3 });
  assert.deepEqual(await redis.hexpire("fields", ["a", "none"], 100), [1, -2]);
  assert.deepEqual(await redis.hexpire("fields", "a", 50, "GT"), [0]);
  assert.ok((await redis.hpttl("fields", "a"))[0] > 90_000);
  assert.deepEqual(await redis.hpersist("fields", ["a", "b"]), [1, -1]);
  assert.deepEqual(await redis.hgetex("fields", { ex: 100 }, "b", "none"), { b: 2, none: null });
  assert.equal(await redis.hsetex("fields", { conditional: "FNX" }, { a: 9 }), 0);
  assert.deepEqual(await redis.hgetdel("fields", "b", "c"), { b: 2, c: 3 });
  assert.deepEqual(await redis.hgetall("fields"), { a: 1 });
});

check("streams are trimmed closely, entries deleted with their references", async () => {
  for (let n = 0; n < 150; n += 1) await redis.xadd("log", "*", { n });
  await redis.xtrim("log", { strategy: "MAXLEN", threshold: 30, exactness: "~" });
  assert.ok(Math.abs((await redis.xlen("log")) - 30) <= 1);
  await redis.xgroup("log", { type: "CREATE", group: "g", id: "0" });
  await redis.xreadgroup("g", "reader", "log", ">", { NOACK: true });
  assert.deepEqual(await redis.xinfo("log", { type: "CONSUMERS", group: "g" }), []);
  const [first, second] = Object.keys(await redis.xrange("log", "-", "+"));
  assert.deepEqual(await redis.xackdel("log", "g", "DELREF", first, "9-9"), [1, -1]);
  assert.deepEqual(await redis.xdelex("log", "KEEPREF", second), [1]);
});

check("bits are combined in the newer ways", async () => {
  await redis.mset({ x: "foo", y: "bar", z: "baz" });
  for (const operation of ["diff", "diff1", "andor", "one"]) {
    assert.equal(await redis.bitop(operation, "bits", "x", "y", "z"), 3);
  }
});

check("keys are copied and scanned as Upstash does", async () => {
  assert.equal(await redis.copy("x", "x"), "NOT_COPIED");
  assert.equal(await redis.copy("x", "y", { replace: true }), "COPIED");
  const [, keys] = await redis.scan(0, { match: "x", withType: true });
  assert.deepEqual(keys, [{ key: "x", type: "string" }]);
});

check("functions may read where they may not write", async () => {
  const code = [
    "#!lua name=node",
    "redis.register_function('peek', function(keys) return redis.call('GET', keys[1]) end)",
    "redis.register_function('poke', function(keys) return redis.call('SET', keys[1], 1) end)",
  ].join("\n");
  assert.equal(await redis.functions.load({ code, replace: true }), "node");
  assert.equal(await redis.functions.callRo("peek", ["x"], []), "foo");
  await assert.rejects(redis.functions.callRo("poke", ["x"], []), /commands are not allowed from read-only/);
  const [library] = await redis.functions.list({ libraryName: "node" });
  assert.deepEqual(library.functions.map((each) => each.name).sort(), ["peek", "poke"]);
  assert.equal(await redis.functions.delete("node"), "OK");
});

check("search", async () => {
  const schema = s.object({
    title: s.string(),
    kind: s.keyword(),
    rank: s.number(),
    path: s.facet(),
    author: s.object({ name: s.string() }),
  });
  const index = await redis.search.createIndex({ name: "books", schema, dataType: "json", prefix: "book:" });
  const books = ["Running Fast", "A Runner's Diary", "Slow Cooking"].map((title, n) => ({
    title,
    kind: n < 2 ? "sport" : "food",
    rank: n,
    path: n < 2 ? "/shelf/sport" : "/shelf/food",
    author: { name: ["Ann Lee", "Bob Lee", "Cem Kaya"][n] },
  }));
  for (const [n, book] of books.entries()) await redis.json.set(`book:${n}`, "$", book);
  await index.waitIndexing();
  const titles = async (query) => (await index.query(query)).map((hit) => hit.data.title);
  assert.deepEqual(await titles({ filter: { title: { $eq: "run" } } }), ["Running Fast"]);
  assert.deepEqual(await titles({ filter: { title: { $fuzzy: "runing" } } }), ["Running Fast"]);
  assert.deepEqual(await titles({ filter: { "author.name": "lee" }, orderBy: { rank: "DESC" } }), [
    "A Runner's Diary",
    "Running Fast",
  ]);
  const [hit] = await index.query({
    filter: { title: "cooking" },
    select: { title: true },
    highlight: { fields: ["title"] },
  });
  assert.deepEqual(hit.data, { title: "Slow <em>Cooking</em>" });
  assert.deepEqual(await index.count({ filter: { kind: "sport" } }), { count: 2 });
  const figures = await index.aggregate({
    aggregations: {
      ranks: { $terms: { field: "rank" } },
      shelves: { $facet: { field: "path", path: "/shelf", order: { path: "asc" } } },
      stats: { $stats: { field: "rank" } },
    },
  });
  assert.deepEqual(figures.ranks.buckets.map((bucket) => bucket.key), [2, 0, 1]);
  assert.deepEqual(figures.shelves.children.map((child) => [child.path, child.docCount]), [
    ["/shelf/food", 1],
    ["/shelf/sport", 2],
  ]);
  assert.deepEqual(figures.stats, { count: 3, min: 0, max: 2, sum: 3, avg: 1 });
  assert.equal(await redis.search.alias.add({ indexName: "books", alias: "library" }), 1);
  assert.deepEqual(await redis.search.alias.list(), { library: "books" });
  assert.equal(await index.drop(), 1);
  assert.equal(await redis.search.index({ name: "books" }).describe(), null);
});

check("vectors", async () => {
  const index = await redis.vector.createIndex({ name: "points", dimension: 3, metric: "COSINE" });
  assert.deepEqual(await index.info(), { dimension: 3, metric: "COSINE" });
  assert.equal(await index.add("x", [1, 0, 0]), 1);
  assert.equal(await index.add("y", new Float32Array([0, 1, 0])), 1);
  assert.equal(await index.add("123", [0.9, 0.1, 0]), 1);
  assert.equal(await index.add("x", { base64: "AACAPwAAAAAAAAAA" }), 0);
  assert.equal(await index.count(), 3);
  assert.deepEqual(await index.get("x"), [1, 0, 0]);
  assert.equal(await index.get("none"), null);
  const hits = await index.query({ vector: [1, 0, 0], topK: 2, profile: "FAST" });
  assert.deepEqual(hits.map((hit) => hit.id), ["x", "123"]);
  assert.equal(hits[0].score, 1);
  assert.ok(hits[1].score > 0.9 && hits[1].score < 1);
  await assert.rejects(index.add("z", [1, 0]), /dimension mismatch: expected 3, got 2/);
  await assert.rejects(redis.vector.index("none").query({ vector: [1], topK: 1 }), /not found/);
  await assert.rejects(
    redis.vector.createIndex({ name: "points", dimension: 4, metric: "COSINE", existsOk: true }),
    /different configuration/,
  );
  assert.equal(await index.delete("x"), 1);
  assert.equal(await index.drop(), 1);
});

check("arrays", async () => {
  assert.equal(await redis.arinsert("array", "a", "b"), "1");
  assert.equal(await redis.arset("array", 5, "c"), 1);
  assert.deepEqual(await redis.armget("array", 0, 4, 5), ["a", null, "c"]);
  assert.equal(await redis.arlen("array"), "6");
  assert.equal(await redis.arcount("array"), 3);
  assert.equal(await redis.arnext("array"), "2");
  assert.deepEqual(await redis.argrep("array", "-", "+", { predicates: [{ glob: "[bc]" }] }), ["1", "5"]);
  assert.deepEqual(await redis.arscan("array", 1, 9, { limit: 1 }), [["1", "b"]]);
  assert.equal(await redis.arop("array", 0, 9, { match: "c" }), 1);
  assert.equal((await redis.arinfo("array", { full: true })).count, 3);
  assert.equal(await redis.ardelrange("array", [0, 0], [4, 5]), 2);
  assert.deepEqual(await redis.argetrange("array", 1, 0), ["b", null]);
  assert.equal(await redis.arring("ring", 3, "a", "b", "c", "d"), "0");
  assert.deepEqual(await redis.arlastitems("ring", 2, { rev: true }), ["d", "c"]);
  const end = "18446744073709551613";
  assert.equal(await redis.arset("array", end, "z"), 1);
  assert.deepEqual(await redis.arscan("array", 9, "18446744073709551614"), [[end, "z"]]);
});

await redis.flushdb();
await runChecks();

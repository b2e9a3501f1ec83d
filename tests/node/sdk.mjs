// The official client from npm against a server; UPSTASH_REDIS_REST_URL and _TOKEN say which.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Redis } from "@upstash/redis";
import { check, runChecks } from "./checks.mjs";

const redis = Redis.fromEnv({ enableAutoPipelining: false });
const plain = Redis.fromEnv({ enableAutoPipelining: false, responseEncoding: false });

check("strings, Unicode and JSON", async () => {
  assert.equal(await redis.set("s", "grüße 😀 日本語"), "OK");
  assert.equal(await redis.get("s"), "grüße 😀 日本語");
  assert.equal(await plain.get("s"), "grüße 😀 日本語");
  const value = { a: [1, "two", null, { deep: "ü" }], b: true };
  await redis.set("json", value, { ex: 100 });
  assert.deepEqual(await redis.get("json"), value);
  assert.ok((await redis.ttl("json")) > 90);
  assert.equal(await redis.get("missing"), null);
  assert.equal(await redis.set("s", "x", { nx: true }), null);
});

check("values that look like base64, numbers or OK", async () => {
  for (const text of ["OK", "UE9ORw==", "\u0000\u0001\u001f", '"quoted"\\', "line\nbreak", "8"]) {
    await redis.set("tricky", JSON.stringify(text));
    assert.equal(await redis.get("tricky"), text);
    assert.deepEqual(await redis.mget("tricky", "missing"), [text, null]);
  }
  await redis.set("big", "123456789012345678901");
  assert.equal(await redis.get("big"), "123456789012345678901");
  assert.equal(await redis.ping(), "PONG");
});

check("keys of every kind", async () => {
  for (const key of ["a/b c?d#e%f", "ключ", "%41", "'\"\\"]) {
    await redis.set(key, "v");
    assert.equal(await redis.get(key), "v");
  }
});

check("a pipeline with a failing command", async () => {
  const pipeline = redis.pipeline();
  pipeline.set("p", "text").incr("p").get("p");
  await assert.rejects(pipeline.exec(), /Command 2 \[ incr \] failed: ERR/);
  const results = await pipeline.exec({ keepErrors: true });
  assert.deepEqual([results[0].result, results[2].result], ["OK", "text"]);
  assert.match(results[1].error, /not an integer/);
});

check("the exact text of an unknown script", async () => {
  const pipeline = redis.pipeline().set("p", 1).get("p").evalsha("f".repeat(40), [], []);
  await assert.rejects(pipeline.exec(), (error) =>
    error.message.includes(
      "Command 3 [ evalsha ] failed: NOSCRIPT No matching script. Please use EVAL.",
    ),
  );
});

check("multi", async () => {
  const results = await redis.multi().set("m", 1).incr("m").get("m").exec();
  assert.deepEqual(results, ["OK", 2, 2]);
  await assert.rejects(redis.multi().set("m", 9).exec().then(() => redis.multi().exec()));
});

check("a discarded multi runs nothing", async () => {
  await redis.set("d", "before");
  const multi = redis.multi();
  multi.set("d", "after");
  multi.getrange("d");
  await assert.rejects(multi.exec(), /EXECABORT/);
  assert.equal(await redis.get("d"), "before");
});

check("auto-pipelined Promise.all", async () => {
  const auto = Redis.fromEnv({ enableAutoPipelining: true });
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  await Promise.all(numbers.map((n) => auto.set(`auto:${n}`, n)));
  const values = await Promise.all(numbers.map((n) => auto.get(`auto:${n}`)));
  assert.deepEqual(values, numbers);
});

check("scripts", async () => {
  const script = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}";
  assert.deepEqual(await redis.eval(script, ["script"], ["x"]), ["script", "x", 1]);
  const sha = await redis.scriptLoad(script);
  assert.equal(sha, createHash("sha1").update(script).digest("hex"));
  assert.deepEqual(await redis.evalsha(sha, ["script"], ["y"]), ["script", "y", 2]);
  const locking = redis.createScript("#!lua flags=allow-key-locking\nreturn redis.call('GET', KEYS[1])");
  assert.equal(await locking.exec(["script"], []), 2);
  assert.equal(await locking.exec(["script"], []), 2);
});

check("streams", async () => {
  const id = await redis.xadd("stream", "*", { field: "value", n: 1 });
  assert.match(id, /^\d+-\d+$/);
  await redis.xadd("stream", "*", { field: "second" });
  const entries = await redis.xrange("stream", "-", "+");
  assert.deepEqual(Object.values(entries), [{ field: "value", n: 1 }, { field: "second" }]);
});

check("sorted sets with scores", async () => {
  await redis.zadd("z", { score: 1.5, member: "a" }, { score: -2, member: "b" }, { score: 3, member: "c" });
  assert.deepEqual(await redis.zrange("z", 0, -1, { withScores: true }), ["b", -2, "a", 1.5, "c", 3]);
  assert.deepEqual(await redis.zrange("z", 1, 3, { byScore: true }), ["a", "c"]);
});

check("scan loops", async () => {
  const all = Array.from({ length: 300 }, (_, n) => `scan:${n}`);
  await redis.mset(Object.fromEntries(all.map((key) => [key, 1])));
  const found = new Set();
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, { match: "scan:*", count: 20 });
    keys.forEach((key) => found.add(key));
    cursor = next;
  } while (cursor !== "0");
  assert.deepEqual([...found].sort(), all.sort());
  await redis.hset("scan-hash", Object.fromEntries(all.map((key) => [key, 1])));
  let fields = 0;
  do {
    const [next, part] = await redis.hscan("scan-hash", cursor, { count: 50 });
    fields += part.length / 2;
    cursor = next;
  } while (cursor !== "0");
  assert.equal(fields, all.length);
});

check("hashes, lists and sets", async () => {
  await redis.hset("h", { a: 1, b: "two" });
  assert.deepEqual(await redis.hgetall("h"), { a: 1, b: "two" });
  await redis.rpush("l", "a", "b", "c");
  assert.deepEqual(await redis.lrange("l", 0, -1), ["a", "b", "c"]);
  await redis.sadd("set", "x", "y");
  assert.deepEqual((await redis.smembers("set")).sort(), ["x", "y"]);
});

check("read your writes", async () => {
  const fresh = Redis.fromEnv({ enableAutoPipelining: false });
  await fresh.set("ryw", 1);
  const first = fresh.readYourWritesSyncToken;
  await fresh.set("ryw", 2);
  assert.ok(first);
  assert.notEqual(first, fresh.readYourWritesSyncToken);
});

check("errors reach the caller", async () => {
  await redis.set("text", "x");
  await assert.rejects(redis.lpush("text", 1), /WRONGTYPE/);
  const stranger = new Redis({ url: process.env.UPSTASH_REDIS_REST_URL, token: "wrong", retry: false });
  await assert.rejects(stranger.get("text"), /WRONGPASS/);
});

const nextEvent = (target, event, what) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} in 10 s`)), 10_000);
    target.on(event, (data) => {
      clearTimeout(timer);
      resolve(data);
    });
  });

check("subscribe and publish", async () => {
  const subscriber = redis.subscribe("news");
  assert.equal(await nextEvent(subscriber, "subscribe", "confirmation"), 1);
  const message = nextEvent(subscriber, "message", "message");
  assert.equal(await redis.publish("news", { text: "hello, wörld" }), 1);
  assert.deepEqual(await message, { channel: "news", message: { text: "hello, wörld" } });
  await subscriber.unsubscribe();
});

check("psubscribe and publish", async () => {
  const subscriber = redis.psubscribe("user:*");
  await nextEvent(subscriber, "psubscribe", "confirmation");
  const message = nextEvent(subscriber, "pmessage", "message");
  await redis.publish("user:7", { n: 1 });
  assert.deepEqual(await message, { pattern: "user:*", channel: "user:7", message: { n: 1 } });
  await subscriber.unsubscribe();
});

await redis.flushdb();
await runChecks();

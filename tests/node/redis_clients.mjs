// ioredis, node-redis, connect-redis and BullMQ, unmodified, against the Redis protocol. REDIS_URL says where.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { Queue, QueueEvents, Worker } from "bullmq";
import { RedisStore } from "connect-redis";
import session from "express-session";
import { Redis } from "ioredis";
import { createClient } from "redis";

const url = process.env.REDIS_URL;
const connect = (options = {}) => new Redis(url, { maxRetriesPerRequest: null, ...options });

async function ioredis() {
  const redis = connect();
  assert.equal(await redis.set("k", "v"), "OK");
  assert.deepEqual(await redis.getBuffer("k"), Buffer.from("v"));
  await redis.hset("h", { a: "1", b: "2" });
  assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "2" });
  const piped = await redis.pipeline().incr("n").incr("n").lpush("n", "x").exec();
  assert.deepEqual([piped[0][1], piped[1][1]], [1, 2]);
  assert.match(piped[2][0].message, /^WRONGTYPE/);
  assert.deepEqual(await redis.multi().set("t", "1").get("t").exec(), [[null, "OK"], [null, "1"]]);
  redis.defineCommand("double", { numberOfKeys: 1, lua: "return redis.call('get', KEYS[1]) * 2" });
  assert.equal(await redis.double("n"), 4);

  const subscriber = connect();
  await subscriber.subscribe("news");
  const heard = once(subscriber, "message");
  assert.equal(await redis.publish("news", "hello"), 1);
  assert.deepEqual(await heard, ["news", "hello"]);

  const blocked = connect();
  const popped = blocked.blpop("list", 0);
  await redis.rpush("list", "item");
  assert.deepEqual(await popped, ["list", "item"]);

  const scanned = [];
  for await (const keys of redis.scanStream({ match: "?" })) scanned.push(...keys);
  assert.deepEqual(scanned.sort(), ["h", "k", "n", "t"]);
  for (const client of [redis, subscriber, blocked]) await client.quit();
}

async function bullmq(jobs) {
  const connection = connect();
  const queue = new Queue("work", { connection });
  const events = new QueueEvents("work", { connection: connect() });
  await events.waitUntilReady();
  const failures = new Map();
  const process = async (job) => {
    if (job.name === "flaky" && job.attemptsMade === 0) {
      failures.set(job.id, true);
      throw new Error("first attempt");
    }
    return job.data.n * 2;
  };
  const worker = new Worker("work", process, { connection: connect(), concurrency: 20 });
  await worker.waitUntilReady();
  const drained = new Promise((resolve) => {
    let completed = 0;
    worker.on("completed", () => ++completed === jobs && resolve());
  });
  await queue.addBulk(
    Array.from({ length: jobs }, (_, n) => ({
      name: n % 10 === 0 ? "flaky" : "plain",
      data: { n },
      opts: { attempts: 3, delay: n % 25 === 0 ? 20 : 0, priority: n % 7 === 0 ? 1 : undefined },
    })),
  );
  await drained;
  assert.equal(failures.size, jobs / 10);
  assert.equal(await queue.getCompletedCount(), jobs);
  assert.equal(await queue.getFailedCount(), 0);

  const last = await queue.add("plain", { n: 21 });
  assert.equal(await last.waitUntilFinished(events), 42);
  const repeated = new Promise((resolve) => {
    let runs = 0;
    worker.on("completed", (job) => job.name === "tick" && ++runs === 3 && resolve());
  });
  await queue.upsertJobScheduler("ticker", { every: 50 }, { name: "tick", data: { n: 0 } });
  await repeated;
  await queue.removeJobScheduler("ticker");
  await worker.close();
  await events.close();
  await queue.obliterate({ force: true });
  await queue.close();
  await connection.quit();
}

/** A worker that takes a job and never ends it. */
async function endlessWorker() {
  new Worker("killed", (job) => { process.send(job.id); return new Promise(() => {}); }, killedWorker());
  await new Promise(() => {});
}

function killedWorker() {
  return { connection: connect(), lockDuration: 500, stalledInterval: 300 };
}

/** The job of a worker that was killed is done by another one, once. */
async function bullmqWithKilledWorker() {
  const queue = new Queue("killed", { connection: connect() });
  const job = await queue.add("plain", {});
  const killed = fork(import.meta.filename, ["endless-worker"]);
  assert.deepEqual((await once(killed, "message"))[0], job.id);
  assert.equal(await queue.getActiveCount(), 1);
  killed.kill("SIGKILL");
  await once(killed, "exit");

  const done = [];
  const worker = new Worker("killed", (job) => done.push(job.id), killedWorker());
  await once(worker, "completed");
  assert.deepEqual(done, [job.id]);
  assert.deepEqual(await queue.getJobCounts("completed", "active", "waiting", "failed"), {
    completed: 1, active: 0, waiting: 0, failed: 0,
  });
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
}

async function nodeRedis() {
  for (const RESP of [2, 3]) {
    const client = createClient({ url, RESP });
    await client.connect();
    assert.equal(await client.set("text", "é\0"), "OK");
    assert.equal(await client.get("text"), "é\0");
    await client.hSet("fields", { a: "1" });
    assert.deepEqual({ ...(await client.hGetAll("fields")) }, { a: "1" });
    await client.zAdd("scores", [{ score: 1.5, value: "a" }]);
    assert.deepEqual(await client.zRangeWithScores("scores", 0, -1), [{ score: 1.5, value: "a" }]);
    assert.deepEqual(await client.multi().set("m", "1").incr("m").exec(), ["OK", 2]);
    const subscriber = await client.duplicate().connect();
    const heard = new Promise((resolve) => subscriber.subscribe("news", resolve));
    await client.publish("news", "hello");
    assert.equal(await heard, "hello");
    await subscriber.close();
    await client.flushDb();
    await client.close();
  }
}

async function connectRedis() {
  const client = await createClient({ url }).connect();
  const store = new RedisStore({ client, prefix: "sess:", ttl: 60 });
  const call = (name, ...args) =>
    new Promise((resolve, reject) =>
      store[name](...args, (error, value) => (error ? reject(error) : resolve(value))),
    );
  const cookie = new session.Cookie({ maxAge: 30_000 });
  await call("set", "one", { cookie, user: "ada" });
  assert.equal((await call("get", "one")).user, "ada");
  const ttl = await client.ttl("sess:one");
  assert.ok(ttl > 25 && ttl <= 30, String(ttl));
  await call("touch", "one", { cookie: new session.Cookie({ maxAge: 50_000 }) });
  assert.ok((await client.ttl("sess:one")) > 45);
  assert.deepEqual(await call("ids"), ["one"]);
  assert.equal(await call("length"), 1);
  await call("destroy", "one");
  assert.equal((await call("get", "one")) ?? null, null);
  await client.close();
}

if (process.argv[2] === "endless-worker") await endlessWorker();
await ioredis();
await nodeRedis();
await connectRedis();
await bullmq(1000);
await bullmqWithKilledWorker();
process.exit(0);

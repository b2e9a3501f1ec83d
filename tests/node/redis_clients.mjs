// ioredis and BullMQ, unmodified, against the Redis protocol. REDIS_URL says where.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";

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

await ioredis();
await bullmq(1000);
process.exit(0);

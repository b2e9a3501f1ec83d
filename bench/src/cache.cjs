// bentocache and cacheable measured: a line "PEER.WORK MILLISECONDS" in, a figure out.
const { pathToFileURL } = require("node:url");
const load = (name) => import(pathToFileURL(require.resolve(name)));
const SIZE = 64;
const report = (n) => ({
  property: `property-${n}`, bookings: 117 + n, revenue: 48210.5, occupancy: 0.83,
  days: Array.from({ length: 24 }, (_, day) => ({ day, bookings: (n + day) % 9, revenue: 120.5 * day })),
});
const loaded = async () => report(1);
const names = Array.from({ length: SIZE }, (_, n) => `report:${n}`);

async function bentocache() {
  const { BentoCache, bentostore } = await load("bentocache");
  const { memoryDriver } = await load("bentocache/drivers/memory");
  const { redisDriver } = await load("bentocache/drivers/redis");
  const { default: Redis } = await load("ioredis");
  const client = new Redis(process.env.BENCH_URL);
  const bento = new BentoCache({
    default: "memory",
    stores: {
      memory: bentostore().useL1Layer(memoryDriver({ maxSize: "32mb", maxItems: 100_000 })),
      redis: bentostore().useL2Layer(redisDriver({ connection: client, prefix: "bento" })),
    },
  });
  const [memory, redis] = [bento.use("memory"), bento.use("redis")];
  const tags = ["org:acme"];
  await memory.set({ key: "report:0", value: report(0), ttl: "1h" });
  for (const [n, key] of names.entries()) await redis.set({ key, value: report(n), ttl: "1h", tags });
  let fresh = 0;
  return {
    memory: () => memory.get({ key: "report:0" }),
    read: (n) => redis.get({ key: names[n] }),
    cold: () => redis.getOrSet({ key: `cold:${fresh++}`, factory: loaded, ttl: "1m" }),
    store: (key) => redis.set({ key, value: report(1), ttl: "1h", tags }),
    one: (key, factory) => redis.getOrSet({ key, factory, ttl: "1m" }),
    invalidate: () => redis.deleteByTag({ tags }),
  };
}

async function cacheable() {
  const { Cacheable } = await load("cacheable");
  const keyv = await load("@keyv/redis");
  const KeyvRedis = keyv.KeyvRedis ?? keyv.default?.default ?? keyv.default;
  const memory = new Cacheable();
  const store = new KeyvRedis(process.env.BENCH_URL, { namespace: "cacheable" });
  const { Keyv } = await load("keyv");
  const redis = new Cacheable({ primary: new Keyv(store), tags: true });
  const tags = ["org:acme"];
  await memory.set("report:0", report(0), "1h");
  for (const [n, key] of names.entries()) await redis.set(key, report(n), { ttl: "1h", tags });
  let fresh = 0;
  return {
    memory: () => memory.get("report:0"),
    read: (n) => redis.get(names[n]),
    cold: () => redis.getOrSet(`cold:${fresh++}`, loaded, { ttl: "1m" }),
    store: (key) => redis.set(key, report(1), { ttl: "1h", tags }),
    one: (key, load) => redis.getOrSet(key, load, { ttl: "1m" }),
    invalidate: () => redis.tags.invalidateTag("org:acme"),
  };
}

const peers = { bentocache, cacheable };
const made = {};
let turns = 0;
const check = (value) => { if (value === undefined || value === null) throw new Error("nothing cached"); };
const works = {
  memory: [1000, async (peer) => { for (let i = 0; i < 1000; i++) check(await peer.memory()); }],
  read: [SIZE, async (peer) => { (await Promise.all(names.map((_, n) => peer.read(n)))).forEach(check); }],
  sequential: [1, async (peer) => check(await peer.read(turns++ % SIZE))],
  cold: [100, (peer) => Promise.all(Array.from({ length: 100 }, peer.cold))],
  invalidate: [1, (peer) => peer.invalidate()],
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const [what, ms] = line.split(" ");
  const [name, work, count] = what.split(".");
  made[name] ??= await peers[name]();
  const peer = made[name];
  if (work === "stampede") {
    let loads = 0;
    const slow = async () => { loads++; await new Promise((end) => setTimeout(end, 50)); return report(1); };
    await Promise.all(Array.from({ length: 1000 }, () => peer.one(`stampede:${process.pid}:${ms}`, slow)));
    return console.log(loads);
  }
  if (work === "fill") {
    for (let n = 0; n < count; n += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => peer.store(`filled:${process.pid}:${n + i}`)));
    }
    return console.log(count);
  }
  const [step, turn] = works[work];
  const start = performance.now();
  let done = 0;
  do { await turn(peer); done += step; } while (performance.now() - start < ms);
  console.log((done * 1000) / (performance.now() - start));
});

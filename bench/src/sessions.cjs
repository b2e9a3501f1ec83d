// connect-redis measured: a line "WORK MILLISECONDS" in, a figure out.
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");
const client = createClient({ url: process.env.BENCH_URL });
const store = new RedisStore({ client, prefix: "peer:", ttl: 86400 });
const ids = Array.from({ length: 64 }, (_, i) => `session-${i}`);
const fresh = (i) => ({
  cookie: { originalMaxAge: null, httpOnly: true, path: "/" },
  user: `user-${i}`, organisation: "acme", theme: "dark", cart: ["a-1", "b-2", "c-3"], n: 0,
});
const ready = client.connect().then(() => Promise.all(ids.map((id, i) => store.set(id, fresh(i)))));
let turns = 0;
const load = async (id) => {
  const session = await store.get(id);
  if (!session) throw new Error("no session");
  return session;
};
const all = async (id) => {
  const session = await load(id);
  const changed = { ...session, n: ++turns };
  await Promise.all([store.touch(id, session), store.set(id, changed)]);
};
const works = {
  load: [64, () => Promise.all(ids.map(load))],
  all: [64, () => Promise.all(ids.map(all))],
  sequential: [1, () => all(ids[turns % 64])],
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  await ready;
  const [work, ms] = line.split(" ");
  const [step, turn] = works[work];
  const start = performance.now();
  let done = 0;
  do { await turn(); done += step; } while (performance.now() - start < ms);
  console.log((done * 1000) / (performance.now() - start));
});

// @upstash/realtime measured: a line "WORK MILLISECONDS" in, a figure out.
let requests = 0, commands = 0;
const send = globalThis.fetch;
globalThis.fetch = (url, init) => {
  requests += 1;
  const body = typeof init?.body === "string" ? JSON.parse(init.body) : [];
  commands += Array.isArray(body[0]) ? body.length : 1;
  return send(url, init);
};
const { Redis } = require("@upstash/redis");
const { Realtime } = require("@upstash/realtime");
const redis = new Redis({ url: process.env.BENCH_URL, token: process.env.BENCH_TOKEN, enableTelemetry: false });
const name = `peer-${process.versions.bun ? "bun" : "node"}`;
const realtime = new Realtime({ redis, history: { maxLength: 10000, expireAfterSecs: 86400 } });
const of = (part) => realtime.channel(`${name}-${part}`);
const data = { text: process.env.BENCH_DATA };
const times = [];
let heard;
const live = async () => {
  const arrived = new Promise((resolve) => (heard = resolve));
  const start = performance.now();
  await of("live").emit("note.added", data);
  await arrived;
  times.push(performance.now() - start);
};
const works = {
  concurrent: [64, () => Promise.all(Array.from({ length: 64 }, () => of("all").emit("note.added", data)))],
  sequential: [1, () => of("all").emit("note.added", data)],
  live: [1, live],
  catchup: [10000, async () => {
    let [start, read] = ["-", 0];
    for (;;) {
      const page = await of("past").history({ start, limit: 1000 });
      if (page.length === 0) break;
      read += page.length;
      start = `(${page[page.length - 1].id}`;
    }
    if (read !== 10000) throw new Error(`read ${read}`);
  }],
};
const ready = async () => {
  await of("live").subscribe({ events: ["note.added"], onData: () => heard?.() });
  for (let n = 0; n < 10000; n += 100) {
    await Promise.all(Array.from({ length: 100 }, () => of("past").emit("note.added", data)));
  }
};
const percentile = (share) => {
  times.sort((a, b) => a - b);
  return 1000 * times[Math.floor((times.length - 1) * share)];
};
const figure = async (work, ms) => {
  if (work === "ready") return ready().then(() => 1);
  if (work.startsWith("p")) return percentile(work.slice(1) / 100);
  if (work === "requests" || work === "commands") {
    [requests, commands] = [0, 0];
    for (let n = 0; n < 100; n += 1) await of("all").emit("note.added", data);
    return (work === "requests" ? requests : commands) / 100;
  }
  const [step, turn] = works[work];
  const start = performance.now();
  let done = 0;
  do { await turn(); done += step; } while (performance.now() - start < ms);
  return (done * 1000) / (performance.now() - start);
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const [work, ms] = line.split(" ");
  console.log(await figure(work, ms));
});

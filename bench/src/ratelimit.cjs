// @upstash/ratelimit measured: a line "WORK MILLISECONDS" in, a figure out.
const { Redis } = require("@upstash/redis");
const { Ratelimit } = require("@upstash/ratelimit");
const redis = new Redis({ url: process.env.BENCH_URL, token: process.env.BENCH_TOKEN, enableTelemetry: false });
const open = new Ratelimit({ redis, prefix: "peer", limiter: Ratelimit.slidingWindow(1e9, "60 s") });
const closed = new Ratelimit({ redis, prefix: "peer-closed", limiter: Ratelimit.fixedWindow(1, "1 d") });
let turns = 0;
const names = Array.from({ length: 64 }, (_, i) => `user-${i}`);
const times = [];
const works = {
  concurrent: [64, () => Promise.all(names.map((name) => open.limit(name)))],
  sequential: [1, async () => {
    const start = performance.now();
    await open.limit(names[turns++ % 64]);
    times.push(performance.now() - start);
  }],
  blocked: [64, () => Promise.all(names.map((name) => closed.limit(name)))],
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const [work, ms] = line.split(" ");
  if (work.startsWith("p")) {
    times.sort((a, b) => a - b);
    return console.log(1000 * times[Math.floor((times.length - 1) * (work.slice(1) / 100))]);
  }
  const [step, turn] = works[work];
  const start = performance.now();
  let done = 0;
  do { await turn(); done += step; } while (performance.now() - start < ms);
  console.log((done * 1000) / (performance.now() - start));
});

// @upstash/redis in an open loop: a line "RATE MILLISECONDS" in, calls out; then "p50" and "p99".
const { Redis } = require("@upstash/redis");
const redis = new Redis({
  url: process.env.BENCH_URL,
  token: process.env.BENCH_TOKEN,
  enableTelemetry: false,
  enableAutoPipelining: true,
});
let times = [];
const percentile = (percent) => times[Math.floor(((times.length - 1) * percent) / 100)] * 1000;
const call = async () => {
  const start = performance.now();
  await redis.get("k");
  times.push(performance.now() - start);
};
const openLoop = (rate, ms) =>
  new Promise((done) => {
    const start = performance.now();
    const calls = [];
    const timer = setInterval(() => {
      const passed = performance.now() - start;
      while (calls.length < (Math.min(passed, ms) * rate) / 1000) calls.push(call());
      if (passed >= ms) {
        clearInterval(timer);
        Promise.all(calls).then(done);
      }
    }, 1);
  });
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const [work, ms] = line.split(" ");
  if (work === "p50") return console.log(percentile(50));
  if (work === "p99") return console.log(percentile(99));
  times = [];
  await openLoop(Number(work), Number(ms));
  times.sort((a, b) => a - b);
  console.log(times.length);
});

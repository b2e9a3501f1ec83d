// @upstash/redis measured: a line "WORK MILLISECONDS" in, operations a second out.
const { Redis } = require("@upstash/redis");
const config = { url: process.env.BENCH_URL, token: process.env.BENCH_TOKEN, enableTelemetry: false };
const one = new Redis({ ...config, enableAutoPipelining: false });
const auto = new Redis({ ...config, enableAutoPipelining: true });
const works = {
  sequential: [1, () => one.get("k")],
  merged: [64, () => Promise.all(Array.from({ length: 64 }, () => auto.get("k")))],
  pipeline: [100, () => {
    const p = one.pipeline();
    for (let i = 0; i < 100; i++) p.get("k");
    return p.exec();
  }],
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const [work, ms] = line.split(" ");
  const [step, turn] = works[work];
  const start = performance.now();
  let done = 0;
  do { await turn(); done += step; } while (performance.now() - start < ms);
  console.log((done * 1000) / (performance.now() - start));
});

// Answers questions of a test line by line with the official limiter: {algorithm, id, rate} → {success, remaining, reset}.
import { createInterface } from "node:readline";
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.UPSTASH_REDIS_REST_URL, token: process.env.UPSTASH_REDIS_REST_TOKEN });
const make = (limiter) => new Ratelimit({ redis, limiter, ephemeralCache: false, timeout: 0 });
const limiters = {
  fixed: make(Ratelimit.fixedWindow(10, "1 d")),
  sliding: make(Ratelimit.slidingWindow(10, "1 d")),
  bucket: make(Ratelimit.tokenBucket(1, "1 d", 10)),
};
const denying = new Ratelimit({
  redis, limiter: Ratelimit.fixedWindow(10, "1 d"), prefix: "denying", ephemeralCache: false, enableProtection: true,
});
const dynamic = new Ratelimit({
  redis, limiter: Ratelimit.fixedWindow(10, "1 d"), prefix: "dynamic", ephemeralCache: false, dynamicLimits: true,
});

const ask = async ({ algorithm, id, rate, peek, setDynamic }) => {
  if (setDynamic !== undefined) {
    await dynamic.setDynamicLimit({ limit: setDynamic });
    return {};
  }
  const limiter = { ...limiters, denying, dynamic }[algorithm];
  if (peek) return limiter.getRemaining(id);
  const { success, remaining, reset, reason, limit } = await limiter.limit(id, { rate });
  return { success, remaining, reset, limit, reason: reason ?? null };
};

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await ask(JSON.parse(line)).catch((error) => ({ error: String(error) }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}

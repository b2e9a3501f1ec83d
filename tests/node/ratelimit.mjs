// Answers questions of a test line by line with the official limiter: {algorithm, id, rate} → {success, remaining, reset}.
import { createInterface } from "node:readline";
import { Analytics, Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.UPSTASH_REDIS_REST_URL, token: process.env.UPSTASH_REDIS_REST_TOKEN });
const make = (limiter, options) => new Ratelimit({ redis, limiter, ephemeralCache: false, timeout: 0, ...options });
const window = Ratelimit.fixedWindow(10, "1 d");
const limiters = {
  fixed: make(window),
  sliding: make(Ratelimit.slidingWindow(10, "1 d")),
  bucket: make(Ratelimit.tokenBucket(1, "1 d", 10)),
  cached: make(Ratelimit.cachedFixedWindow(10, "1 d"), { ephemeralCache: new Map() }),
  denying: make(window, { prefix: "denying", enableProtection: true }),
  counting: make(window, { prefix: "counting", analytics: true }),
};
for (const [name, limiter] of Object.entries({
  fixed: window, sliding: Ratelimit.slidingWindow(10, "1 d"), bucket: Ratelimit.tokenBucket(1, "1 d", 10),
})) limiters[`dynamic-${name}`] = make(limiter, { prefix: `dynamic-${name}`, dynamicLimits: true });

const ask = async ({ algorithm, id, rate, peek, reset, setDynamic, ip, country, most }) => {
  const limiter = limiters[algorithm];
  if (setDynamic !== undefined) return (await limiter.setDynamicLimit({ limit: setDynamic })) ?? {};
  if (most) return new Analytics({ redis, prefix: algorithm }).getMostAllowedBlocked(1);
  if (reset) return (await limiter.resetUsedTokens(id)) ?? {};
  if (peek) return limiter.getRemaining(id);
  const { success, remaining, reset: at, reason, limit, deniedValue, pending } =
    await limiter.limit(id, { rate, ip, country, geo: country && { country } });
  await pending;
  return { success, remaining, reset: at, limit, reason: reason ?? null, deniedValue: deniedValue ?? null };
};

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await ask(JSON.parse(line)).catch((error) => ({ error: String(error) }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}

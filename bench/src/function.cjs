// The same function on Node: a rate-limit decision for each POST.
const { Redis } = require("@upstash/redis");
const { Ratelimit } = require("@upstash/ratelimit");
const redis = new Redis({ url: process.env.BENCH_URL, token: process.env.BENCH_TOKEN, enableTelemetry: false });
const limiter = new Ratelimit({ redis, limiter: Ratelimit.slidingWindow(1e9, "60 s") });
require("node:http").createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  const decision = await limiter.limit(JSON.parse(body).identifier);
  const text = JSON.stringify({ allowed: decision.success, remaining: decision.remaining });
  response.writeHead(decision.success ? 200 : 429, { "content-type": "application/json", "content-length": text.length });
  response.end(text);
}).listen(process.env.PORT, "127.0.0.1");

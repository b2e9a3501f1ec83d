// The functions as a Cloudflare Worker; ./build fills pkg/.
import { fetch as answer, initSync } from "./pkg/restis_worker.js";
import module from "./pkg/restis_worker_bg.wasm";

initSync({ module });

/** A call of the worker's own API, with the token that may do everything. */
const call = (path, env, ctx, init) => {
  const headers = { authorization: `Bearer ${env.RESTIS_SERVICE_TOKEN}`, ...init.headers };
  return answer(new Request(`https://worker${path}`, { ...init, headers }), env, ctx);
};

export default {
  fetch: (request, env, ctx) => answer(request, env, ctx),

  /** A cron trigger delivers what waits for the endpoints of EVENTS_WEBHOOKS. */
  async scheduled(_, env, ctx) {
    const response = await call("/api/events/work", env, ctx, { method: "POST" });
    if (!response.ok) throw new Error(`the tick failed: ${response.status} ${await response.text()}`);
  },

  /** Each message of a queue is an event: `{ type, data, … }`. It is published once, however often it comes. */
  async queue(batch, env, ctx) {
    await Promise.all(batch.messages.map(async (message) => {
      const response = await call("/api/events/publish", env, ctx, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": `${batch.queue}:${message.id}` },
        body: JSON.stringify(message.body),
      });
      // What is wrong stays wrong; the rest comes again.
      if (response.status >= 500 || response.status === 429) message.retry();
      else message.ack();
      if (!response.ok) console.error(`message ${message.id}: ${response.status} ${await response.text()}`);
    }));
  },
};

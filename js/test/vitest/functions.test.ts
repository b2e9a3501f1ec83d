// Run by vitest itself: the functions and their store.
import { expect, test } from "vitest";
import { createClient } from "restis";
import { setupRestis } from "restis/vitest";

const policies = { default: { algorithm: "fixed-window", limit: 1, window: "1m" } };
const store = setupRestis({ functions: { RATE_LIMIT_POLICIES: JSON.stringify(policies) } });
const client = () => createClient({ url: process.env.API_URL, token: process.env.RESTIS_SERVICE_TOKEN });

test("a limit refuses, and allows again once its window is over", async () => {
  expect(store.functions.url).toBe(process.env.API_URL);
  const check = async () => (await client().ratelimit.check({ identifier: "ada" })).allowed;
  expect(await check()).toBe(true);
  expect(await check()).toBe(false);
  await store.clock.advance(60_000);
  expect(await check()).toBe(true);
});

test("events of another test are not there", async () => {
  expect((await client().events.history()).events).toEqual([]);
  await client().events.publish({ type: "note.added" });
  expect((await client().events.history()).events).toHaveLength(1);
});

test("nor are they in the test after that", async () => {
  expect((await client().events.history()).events).toEqual([]);
});

// Run by vitest itself: a store for each file, reset between tests, whose clock moves.
import { expect, test } from "vitest";
import { setupRestis } from "restis/vitest";

const store = setupRestis({ seed: new URL("seed.redis", import.meta.url).pathname });

async function command(...args: (string | number)[]): Promise<unknown> {
  const { UPSTASH_REDIS_REST_URL: url = "", UPSTASH_REDIS_REST_TOKEN: token } = process.env;
  const response = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(args) });
  return (await response.json()).result;
}

test("it begins with the seed, and the environment leads to it", async () => {
  expect(await command("GET", "greeting")).toBe("hello");
  expect(process.env.UPSTASH_REDIS_REST_URL).toBe(store.url);
  expect(process.env.REDIS_URL).toMatch(/^redis:/);
  await command("SET", "greeting", "changed");
  await command("SET", "other", 1);
});

test("what a test wrote is gone in the next one", async () => {
  expect(await command("GET", "greeting")).toBe("hello");
  expect(await command("GET", "other")).toBeNull();
});

test("time moves when it is told to, and returns with a reset", async () => {
  await command("SET", "code", "1234", "EX", 60);
  const before = await store.clock.now();
  const after = await store.clock.advance(59_000);
  expect(after.getTime() - before.getTime()).toBeGreaterThanOrEqual(59_000);
  expect(await command("GET", "code")).toBe("1234");
  await store.clock.advance(1_000);
  expect(await command("GET", "code")).toBeNull();
  await store.reset();
  expect((await store.clock.now()).getTime()).toBeLessThan(after.getTime());
});

test("the functions are not there unless they are asked for", () => {
  expect(() => store.functions).toThrow("functions: true");
});

// Run by vitest itself, inside `restis run`: the store that runs already.
import { expect, test } from "vitest";
import { setupRestis } from "restis/vitest";

const { UPSTASH_REDIS_REST_URL: url = "", UPSTASH_REDIS_REST_TOKEN: token = "" } = process.env;
const store = setupRestis({ running: { url, token }, keep: true });
const get = async (path: string) => (await (await fetch(`${url}/${path}`, { headers: { authorization: `Bearer ${token}` } })).json()).result;

test("a value is kept", async () => {
  expect(store.url).toBe(url);
  expect(await get("set/a/1")).toBe("OK");
});

test("until it is reset by hand", async () => {
  expect(await get("get/a")).toBe("1");
  await store.reset();
  expect(await get("get/a")).toBeNull();
});

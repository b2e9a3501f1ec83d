// Run by vitest itself, with MSW in between: no functions run.
import { setupServer } from "msw/node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createClient, isRestisError } from "restis";
import { EventStream, Outbox } from "restis/browser";
import { handlers, on, problem, refusal } from "restis/msw";

const server = setupServer();
beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const client = createClient({ url: "https://functions.example", token: "any" });

test("who is signed in, who signs out, who signs in", async () => {
  server.use(...handlers({ user: "ada" }));
  expect((await client.session.get()).session?.user).toBe("ada");
  await client.session.update({ theme: "dark" });
  expect((await client.session.get()).session?.data).toEqual({ theme: "dark" });
  await client.session.end();
  expect((await client.session.get()).session).toBeNull();
  await expect(client.session.list()).rejects.toMatchObject({ code: "session-missing", status: 401 });
  await client.sessions.create({ user: "bob" });
  expect((await client.session.list()).map(({ current }) => current)).toEqual([true]);
});

test("events come back from the history, from streams and to outboxes; an id is stored once", async () => {
  server.use(...handlers());
  const url = "https://functions.example";
  const heard: unknown[] = [];
  const stream = new EventStream({ url, types: ["note.*"] });
  const leave = stream.subscribe({ event: ({ data }) => heard.push(data) });
  await expect.poll(() => stream.cursor).toBeDefined();
  const first = await client.events.publish({ id: "1", type: "note.added", data: "a" });
  expect((await client.events.publish({ id: "1", type: "note.added", data: "a" })).status).toBe("duplicate");
  await client.events.publish([{ type: "note.added", data: "b" }, { type: "other.kind" }]);
  await expect.poll(() => heard).toEqual(["a", "b"]);
  leave();
  const page = await client.events.history({ after: first.cursor!, limit: 1 });
  expect([page.events.map(({ event }) => event.data), page.has_more]).toEqual([["b"], true]);
  const outbox = new Outbox({ url, subject: "ada", grant: async () => await client.events.grant({ types: ["note.*"], publish: ["note.*"], subject: "ada" }), onWarning() {} });
  await outbox.add({ type: "note.added", data: "c" });
  await expect.poll(() => outbox.status.pending).toBe(0);
  outbox.close();
  expect((await client.events.history({ type: "note.added" })).events.at(-1)?.event.data).toBe("c");
});

test("what is cached is there until it is invalidated; what is not there is null", async () => {
  server.use(...handlers());
  await client.cache.put({ key: "a/ü", value: [1], tags: ["rooms"] });
  expect((await client.cache.get({ key: "a/ü" }))?.value).toEqual([1]);
  expect(await client.cache.get({ key: "a/ü", organisation: "acme" })).toBeNull();
  await client.cache.invalidate({ tags: ["rooms"] });
  expect(await client.cache.get({ key: "a/ü" })).toBeNull();
  expect(await client.deadLetters.get({ id: "none" })).toBeNull();
});

test("one function fails or refuses as a test says, the others go on", async () => {
  server.use(...handlers());
  server.use(on("ratelimit.check", refusal({ policy: "login", retryAfterMs: 5_000 })), on("events.history", problem("store-unavailable", { retry_after_ms: 60_000 })));
  const { data, response } = await client.ratelimit.check({ identifier: "ada" }, { retries: 0 }).withResponse();
  expect(data).toMatchObject({ allowed: false, policy: "login", retry_after_ms: 5_000 });
  expect(response.headers.get("retry-after")).toBe("5");
  const error = await client.events.history().catch((error: unknown) => error);
  expect(isRestisError(error) && [error.code, error.status, error.retryAfterMs]).toEqual(["store-unavailable", 503, 60_000]);
  server.use(on("ratelimit.check", ({ body }) => ({ allowed: true, policy: "default", reason: "limit", taken: (body as { cost: number }).cost, limit: 10, remaining: 7, reset_ms: 0 })));
  expect((await client.ratelimit.check({ identifier: "ada", cost: 3 })).taken).toBe(3);
});

// Repeats, deadlines and errors, against a server that misbehaves as told.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { createClient, isRestisError, type AnyRestisError } from "restis";
import { json, problem, serve, type Fake } from "./support/server.js";

let fake: Fake | undefined;
afterEach(() => fake?.stop());

async function failure(action: Promise<unknown>): Promise<AnyRestisError> {
  const error = await action.then(() => assert.fail("the call succeeded"), (error: unknown) => error);
  assert.ok(isRestisError(error), String(error));
  return error;
}

test("a read is repeated while the store is away, with one request id", async () => {
  fake = await serve((response, _, count) => (count < 3 ? problem(response, 503, "store-unavailable") : json(response, { session: null })));
  assert.deepEqual(await createClient({ url: fake.url }).session.get(), { session: null });
  assert.equal(fake.requests.length, 3);
  assert.equal(new Set(fake.requests.map(({ headers }) => headers["x-request-id"])).size, 1);
});

test("a decision is not taken twice", async () => {
  fake = await serve((response) => problem(response, 503, "store-unavailable"));
  const error = await failure(createClient({ url: fake.url }).ratelimit.check({ identifier: "a" }));
  assert.equal(error.code, "store-unavailable");
  assert.equal(fake.requests.length, 1);
});

test("a lost connection is repeated only where that is harmless", async () => {
  fake = await serve((response, _, count) => (count < 2 ? response.destroy() : json(response, { status: "published", durable: true }, 201)));
  const client = createClient({ url: fake.url });
  assert.equal((await client.events.publish({ type: "a.b" })).status, "published");
  const [first, second] = fake.requests.map(({ body }) => JSON.parse(body));
  assert.equal(first.id, second.id);
  await fake.stop();

  fake = await serve((response) => response.destroy());
  const error = await failure(createClient({ url: fake.url }).session.update({ theme: "dark" }));
  assert.equal(error.code, "network");
  assert.equal(error.status, 0);
  assert.equal(fake.requests.length, 1);
});

test("a login has a key, the same for each repeat; one by an assertion is sent once", async () => {
  fake = await serve((response, _, count) => (count < 2 ? problem(response, 504, "timeout") : problem(response, 503, "store-unavailable")));
  const client = createClient({ url: fake.url, retries: 1 });
  await failure(client.sessions.create({ user: "ada" }));
  const keys = fake.requests.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys.length, 2);
  assert.equal(typeof keys[0], "string");
  assert.equal(keys[0], keys[1]);
  await failure(client.sessions.create({ assertion: "x.y.z" }));
  assert.equal(fake.requests.length, 3);
});

test("what waiting does not mend is not repeated", async () => {
  for (const code of ["sessions-off", "store-refused"]) {
    fake = await serve((response) => problem(response, 503, code));
    assert.equal((await failure(createClient({ url: fake.url }).session.get())).code, code);
    assert.equal(fake.requests.length, 1);
    await fake.stop();
  }
});

test("a pause longer than the deadline ends the call at once", async () => {
  fake = await serve((response) => problem(response, 503, "store-unavailable", {}, { "retry-after": "3600" }));
  const error = await failure(createClient({ url: fake.url }).session.get());
  assert.equal(error.retryAfterMs, 3_600_000);
  assert.equal(fake.requests.length, 1);
});

test("the pause is what Retry-After says", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  let count = 0;
  const answers = [
    new Response(JSON.stringify({ code: "store-unavailable", title: "" }), { status: 503, headers: { "content-type": "application/problem+json", "retry-after": "3" } }),
    Response.json({ status: "ok" }),
  ];
  const answered = createClient({ url: "http://x.invalid", fetch: async () => answers[count++]! }).health();
  const turns = () => new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 5; turn++) await turns();
  t.mock.timers.tick(2_999);
  await turns();
  assert.equal(count, 1);
  t.mock.timers.tick(1);
  assert.deepEqual(await answered, { status: "ok" });
});

test("the deadline covers all repeats and the body", async () => {
  fake = await serve((response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"session":');
  });
  const error = await failure(createClient({ url: fake.url, timeoutMs: 50 }).session.get());
  assert.equal(error.code, "deadline");
  assert.equal(fake.requests.length, 1);
});

test("a signal ends a call with its own reason, and the stream of one that runs", async () => {
  fake = await serve((response, request) => {
    if (request.url?.startsWith("/api/events")) response.writeHead(200, { "content-type": "text/event-stream" }).write(": open\n\n");
  });
  const client = createClient({ url: fake.url, timeoutMs: 60_000 });
  const reason = new Error("left the page");
  const stop = new AbortController();
  const call = client.session.get({}, { signal: stop.signal });
  stop.abort(reason);
  await assert.rejects(call, (error) => error === reason);
  await assert.rejects(client.session.get({}, { signal: stop.signal }), (error) => error === reason);

  const streaming = new AbortController();
  const response = await client.events.stream({}, { signal: streaming.signal });
  const reader = response.body!.getReader();
  await reader.read();
  streaming.abort(reason);
  await assert.rejects(reader.read());
});

test("a page, a redirect and a cut answer are no answers of the functions", async () => {
  fake = await serve((response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>"));
  assert.equal((await failure(createClient({ url: fake.url }).session.get())).code, "unexpected-answer");
  await fake.stop();
  fake = await serve((response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end());
  assert.equal((await failure(createClient({ url: fake.url, token: "t" }).session.get())).code, "unexpected-answer");
  await fake.stop();
  fake = await serve((response) => response.writeHead(200, { "content-type": "application/json", "content-length": "50" }).end('{"session"', () => response.destroy()));
  assert.equal((await failure(createClient({ url: fake.url, retries: 0 }).session.get())).code, "network");
});

test("errors tell neither token nor query", async () => {
  fake = await serve((response) => response.destroy());
  const client = createClient({ url: fake.url, token: "SECRET-TOKEN" });
  const error = await failure(client.events.history({ grant: "SECRET-GRANT" }, { retries: 0 }));
  assert.doesNotMatch(`${error.message} ${error.stack} ${JSON.stringify(error)}`, /SECRET/);
});

test("who takes the response has no second, unhandled failure", async () => {
  fake = await serve((response) => problem(response, 400, "invalid-request"));
  const error = await failure(createClient({ url: fake.url }).health().withResponse());
  assert.equal(error.code, "invalid-request");
  // An unhandled rejection fails the test run.
  await new Promise((resolve) => setImmediate(resolve));
});

// The client against the functions of `restis dev`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClient, isRestisError, type Client } from "restis";
import { skip, startRestis, type Restis } from "./support/restis.js";

let restis: Restis;
let client: Client;

before(async () => {
  if (skip) return;
  restis = await startRestis({ env: { SESSION_CLIENT_FIELDS: "theme" } });
  client = createClient({ url: restis.url, token: restis.token });
});
after(() => restis?.stop());

const rejects = (action: Promise<unknown>) =>
  action.then(
    () => assert.fail("the call succeeded"),
    (error: unknown) => {
      assert.ok(isRestisError(error), String(error));
      return error;
    },
  );

test("a limit decides, and a refusal is a value", { skip }, async () => {
  const first = await client.ratelimit.check({ identifier: "alice", cost: 100 });
  assert.equal(first.allowed, true);
  assert.equal(first.remaining, 0);
  const second = await client.ratelimit.check({ identifier: "alice" });
  assert.equal(second.allowed, false);
  assert.ok((second.retry_after_ms ?? 0) > 0);
  assert.deepEqual(second["violated-policies"], ["default"]);
  assert.equal((await client.ratelimit.peek({ identifier: "alice" })).remaining, 0);
  await client.ratelimit.reset({ identifier: "alice" });
  assert.equal((await client.ratelimit.peek({ identifier: "alice" })).remaining, 100);
});

test("a session is created, read by its cookie, changed and ended", { skip }, async () => {
  const { data, response } = await client.sessions.create({ user: "ada", methods: ["password"] }).withResponse();
  assert.equal(data.user, "ada");
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const browser = createClient({ url: restis.url, headers: { cookie, "sec-fetch-site": "same-origin" } });
  assert.equal((await browser.session.get()).session?.user, "ada");
  assert.equal((await browser.session.list()).length, 1);
  const readOnly = await rejects(browser.session.update({ admin: true }));
  assert.ok(readOnly.code === "field-read-only");
  assert.equal(readOnly.problem.field, "admin");
  await browser.session.end();
  assert.equal((await createClient({ url: restis.url }).session.get({}, { cookie })).session, null);
});

test("events are published once, alone and in batches", { skip }, async () => {
  const event = { type: "note.added", id: crypto.randomUUID(), data: { text: "milk" } };
  const first = await client.events.publish(event);
  assert.equal(first.status, "published");
  assert.equal((await client.events.publish(event)).status, "duplicate");
  const verdicts = await client.events.publish([{ type: "note.added" }, { type: "ready" }]);
  assert.deepEqual(verdicts.map(({ status }) => status), ["published", "rejected"]);
  const before = await client.events.publish({ type: "note.added" }, { organisation: "acme" });
  await client.events.publish({ type: "note.added", data: 2 }, { organisation: "acme" });
  const page = await client.events.history({ organisation: "acme", after: before.cursor ?? "" });
  assert.deepEqual(page.events.map((placed) => placed.event.data), [2]);
});

test("a cached value is stored, read and removed; a missing one is null", { skip }, async () => {
  const key = "a/b c?#%";
  assert.equal(await client.cache.get({ key, organisation: "acme" }), null);
  await client.cache.put({ key, organisation: "acme", value: { n: 1 }, fresh_seconds: 60 });
  assert.deepEqual((await client.cache.get({ key, organisation: "acme" }))?.value, { n: 1 });
  assert.equal(await client.cache.get({ key }), null);
  await client.cache.delete({ key, organisation: "acme" });
  assert.equal(await client.cache.get({ key, organisation: "acme" }), null);
});

test("other answers: texts, streams, no content", { skip }, async () => {
  assert.equal((await client.health()).status, "ok");
  assert.match(String(await client.metrics()), /restis_/);
  const response = await client.events.stream({ type: "note.added" });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  await response.body?.cancel();
  assert.equal(await client.cache.invalidate({ keys: ["x"] }), undefined);
});

test("a problem names its code, status, request and remedy", { skip }, async () => {
  const error = await rejects(createClient({ url: restis.url }).ratelimit.check({ identifier: "a" }));
  assert.equal(error.code, "unauthenticated");
  assert.equal(error.status, 401);
  assert.match(error.message, /Bearer TOKEN/);
  assert.match(error.requestId ?? "", /^[\w-]{8,}$/);
  const reset = await rejects(client.events.history({ after: `${"0".repeat(31)}1.1.00000000`, limit: 1 }, { headers: { accept: "application/cloudevents-batch+json" } }));
  assert.ok(reset.code === "history-reset");
  assert.equal(typeof reset.problem.cursor, "string");
});

test("an id never names a collection", { skip }, async () => {
  for (const id of ["", ".", ".."]) {
    const error = await rejects(client.users.endSessions({ user: id }));
    assert.equal(error.code, "invalid-request");
    assert.equal(error.attempts, 0);
  }
});

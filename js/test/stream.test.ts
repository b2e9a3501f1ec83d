// EventStream in Node: against a server that does what a test says, and against `restis dev`.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { createGzip } from "node:zlib";
import { createClient } from "restis";
import { EventStream, type EventStreamOptions, type LiveEvent, type StreamState } from "restis/browser";
import { skip, startRestis } from "./support/restis.js";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server whose n-th stream `open` writes; other routes are `other`'s. */
async function streaming(open: (response: ServerResponse, request: IncomingMessage, count: number) => void, headers: Record<string, string> = {}): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.writeHead(200, { "content-type": "text/event-stream", ...headers });
    open(response, request, requests.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

interface Heard {
  stream: EventStream;
  events: LiveEvent[];
  resets: string[];
  unreadable: (string | undefined)[];
  states: StreamState[];
  until(condition: () => boolean): Promise<void>;
}

function hear(options: EventStreamOptions): Heard {
  const stream = new EventStream(options);
  let wake = () => {};
  const heard: Heard = {
    stream, events: [], resets: [], unreadable: [], states: [],
    async until(condition) {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
  const note = <T>(list: T[]) => (of: T) => {
    list.push(of);
    wake();
  };
  stream.subscribe({
    event: note(heard.events),
    reset: ({ reason }) => note(heard.resets)(reason),
    unreadable: ({ cursor }) => note(heard.unreadable)(cursor),
    state: note(heard.states),
  });
  ends.push(() => stream.close());
  return heard;
}

const event = (offset: number, type = "note.added", epoch = "e", data: unknown = offset) =>
  `event: ${type}\r\ndata: ${JSON.stringify({ specversion: "1.0", type, id: `i${offset}`, source: "/", data })}\rid: ${epoch}.${offset}.t\n\n`;
const afterOf = (request: IncomingMessage) => new URL(request.url ?? "", "http://x").searchParams.get("after");

test("a lost connection goes on from the cursor, and repeats are passed over", async () => {
  const { url, requests } = await streaming((response, _, count) => {
    if (count === 1) {
      response.write(`retry: 1\n\nevent: ready\ndata: {"cursor":"e.0.t"}\nid: e.0.t\n\n${event(1)}`);
      response.write(event(2).slice(0, 40), () => response.destroy());
    } else {
      response.write(`: comment\n\n${event(1)}${event(2)}${event(3)}`);
    }
  });
  const heard = hear({ url });
  await heard.until(() => heard.events.length === 3);
  assert.deepEqual(heard.events.map(({ data }) => data), [1, 2, 3]);
  assert.deepEqual(requests.map(afterOf), [null, "e.1.t"]);
  assert.deepEqual(heard.states.slice(0, 4), ["connecting", "live", "waiting", "live"]);
  assert.equal(heard.stream.cursor, "e.3.t");
});

test("bytes that are cut inside of characters, and events of a megabyte and more", async () => {
  const large = "ü".repeat(400_000);
  const text = `event: ready\ndata: {"cursor":"e.0.t"}\nid: e.0.t\n\n${event(1, "a.b", "e", "🦀é")}${event(2, "a.b", "e", large)}${event(3, "a.b", "e", `${large}${large}${large}`)}${event(4)}`;
  const { url } = await streaming(async (response) => {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += at < 400 ? 1 : 65_537) {
      if (!response.write(bytes.subarray(at, at + (at < 400 ? 1 : 65_537)))) await once(response, "drain");
    }
  });
  const heard = hear({ url });
  await heard.until(() => heard.events.length === 3);
  assert.deepEqual(heard.events.map(({ data }) => data), ["🦀é", large, 4]);
  assert.deepEqual(heard.unreadable, ["e.3.t"]);
});

test("a proxy that compresses delays nothing that it flushes", async () => {
  let zip = createGzip();
  const { url } = await streaming((response) => {
    zip = createGzip();
    zip.pipe(response);
    zip.write(event(1));
    zip.flush();
  }, { "content-encoding": "gzip" });
  const heard = hear({ url });
  await heard.until(() => heard.events.length === 1);
  zip.write(event(2));
  zip.flush();
  await heard.until(() => heard.events.length === 2);
  zip.destroy();
});

test("subscribers share a connection; the last one ends it, and the cursor stays", async () => {
  let closed = 0;
  const { url, requests } = await streaming((response, _, count) => {
    response.on("close", () => closed++);
    response.write(count === 1 ? `event: ready\ndata: {"cursor":"e.0.t"}\nid: e.0.t\n\n${event(1)}` : event(2));
  });
  const heard = hear({ url });
  await heard.until(() => heard.events.length === 1);
  const second: LiveEvent[] = [];
  const leave = heard.stream.subscribe({ event: (of) => void second.push(of) });
  leave();
  leave();
  // As React does in StrictMode: away and back at once.
  heard.stream.subscribe({})();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(requests.length, 1);
  assert.equal(closed, 0);
  heard.stream.close();
  const again = new Promise<LiveEvent>((resolve) => heard.stream.subscribe({ event: resolve }));
  assert.equal((await again).data, 2);
  assert.equal(afterOf(requests[1]!), "e.1.t");
});

test("outage, resumed, reset and unreadable are told; a reset moves back too", async () => {
  const { url } = await streaming((response) => {
    response.write(`${event(5)}event: outage\ndata: {}\n\nevent: resumed\ndata: {}\n\n`);
    response.write(`event: reset\ndata: {"reason":"epoch_changed","cursor":"f.1.t"}\nid: f.1.t\n\n${event(2, "note.added", "f")}`);
    response.write('event: unreadable\ndata: {"offset":3}\nid: f.3.t\n\n');
  });
  const heard = hear({ url, after: "e.4.t" });
  await heard.until(() => heard.unreadable.length === 1);
  assert.deepEqual(heard.states, ["connecting", "live", "outage", "live"]);
  assert.deepEqual(heard.resets, ["epoch_changed"]);
  assert.deepEqual(heard.events.map(({ cursor }) => cursor), ["e.5.t", "f.2.t"]);
});

test("another grant is asked for when one ends or is refused, once", async () => {
  const grants: string[] = [];
  const tokens: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const token = request.headers.authorization?.split(" ")[1];
    tokens.push(token);
    if (token === "g2") return void response.writeHead(401, { "content-type": "application/problem+json" }).end('{"code":"unauthenticated","title":"","status":401}');
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (token === "g1") response.end('retry: 1\n\nevent: bye\ndata: {"reason":"expired"}\n\n');
    else response.write(event(1));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => (server.closeAllConnections(), server.close()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const heard = hear({ url, grant: async () => ({ grant: grants[grants.push(`g${grants.length + 1}`) - 1]!, expires_ms: Date.now() + 300_000 }) });
  await heard.until(() => heard.events.length === 1);
  assert.deepEqual(tokens, ["g1", "g2", "g3"]);
});

test("who has no grant is denied, until a retry", async () => {
  const { url, requests } = await streaming((response) => response.write(event(1)));
  let signedIn = false;
  const heard = hear({ url, grant: async () => (signedIn ? { grant: "g", expires_ms: Date.now() + 300_000 } : null) });
  await heard.until(() => heard.states.includes("denied"));
  assert.equal(requests.length, 0);
  signedIn = true;
  heard.stream.retry();
  await heard.until(() => heard.events.length === 1);
});

test("a grant is renewed before it ends, without a gap", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const tokens: (string | null)[] = [];
  const realFetch = globalThis.fetch;
  t.after(() => (globalThis.fetch = realFetch));
  globalThis.fetch = async (_, init) => {
    tokens.push(new Headers(init?.headers).get("authorization"));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => init!.signal!.addEventListener("abort", () => controller.error(init!.signal!.reason)),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
  let count = 0;
  const heard = hear({ url: "http://x.invalid", grant: async () => ({ grant: `g${++count}`, expires_ms: Date.now() + 100_000 }) });
  const turns = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  await turns();
  assert.deepEqual(tokens, ["Bearer g1"]);
  // The idle limit of a connection without comments comes before: it reconnects with the same grant.
  for (let second = 0; second < 79; second++) t.mock.timers.tick(1_000), await turns();
  assert.ok(tokens.every((token) => token === "Bearer g1"));
  const live = heard.states.length;
  for (let second = 0; second < 3; second++) t.mock.timers.tick(1_000), await turns();
  assert.equal(tokens.at(-1), "Bearer g2");
  assert.deepEqual(heard.states.slice(live), []);
});

test("where the platform does not stream it asks page after page", async () => {
  const asked: string[] = [];
  let third = () => {};
  const thirdCame = new Promise<void>((resolve) => (third = resolve));
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
    if (pathname.endsWith("/stream")) return void response.writeHead(501, { "content-type": "application/problem+json" }).end('{"code":"not-streaming","title":"","status":501}');
    const after = searchParams.get("after");
    asked.push(after ?? "");
    if (asked.length > 2) return third();
    const placed = (offset: number) => ({ cursor: `e.${offset}.t`, offset, received_ms: 1, event: { type: "a.b", id: `${offset}`, data: offset } });
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ events: after ? [placed(1), placed(2)] : [], cursor: after ? "e.4.t" : "e.0.t", has_more: false, reset: false }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => (server.closeAllConnections(), server.close()));
  const heard = hear({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  await thirdCame;
  assert.deepEqual(heard.events.map(({ data }) => data), [1, 2]);
  assert.deepEqual(asked, ["", "e.0.t", "e.4.t"]);
});

test("against the functions: live, across short grants and a restart, nothing missing, nothing twice", { skip }, async () => {
  let restis = await startRestis();
  ends.push(() => restis.stop());
  const { url, port, token } = restis;
  const client = createClient({ url, token, timeoutMs: 30_000, retries: 50 });
  const heard = hear({ url, types: ["note.*"], grant: async () => client.events.grant({ types: ["note.*"], ttl_seconds: 1 }) });
  while (heard.stream.cursor === undefined) await new Promise((resolve) => setImmediate(resolve));
  // Longer than two grants.
  const ends1 = Date.now() + 2_500;
  let sent = 0;
  while (Date.now() < ends1) await client.events.publish([{ type: "note.added", data: sent++ }, { type: "other.kind" }]);
  await heard.until(() => heard.events.length === sent);
  assert.deepEqual(heard.events.map(({ data }) => data), Array.from({ length: sent }, (_, at) => at));

  await restis.stop("SIGKILL");
  await heard.until(() => heard.states.at(-1) === "waiting");
  // The store was in memory: a new epoch, which the reader is told of.
  restis = await startRestis({ args: ["--functions-addr", `127.0.0.1:${port}`], env: { RESTIS_SERVICE_TOKENS: "" } });
  const renewed = createClient({ url, token: restis.token });
  Object.assign(client.events, renewed.events);
  heard.stream.retry();
  await heard.until(() => heard.resets.length === 1);
  await renewed.events.publish({ type: "note.added", data: "after" });
  await heard.until(() => heard.events.at(-1)?.data === "after");
});

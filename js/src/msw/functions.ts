import { HttpResponse, type HttpHandler } from "msw";
import type { CreateRequest, EntryBody, EntryRequest, SessionView, SyncRequest, Verdict } from "../api/types.gen.js";
import type { Decision, NewEvent, Page, Placed } from "../calls.js";
import { on, problem, type Asked } from "./route.js";

export interface HandlersOptions {
  /** Who is signed in at first; nobody when absent. */
  user?: string;
}

/**
 * Answers of every function, as if all went well: limits allow, events come back from the history and
 * from streams, what is cached is there, one browser has one session. Each call of it begins with nothing.
 *
 * ```ts
 * const server = setupServer(...handlers({ user: "ada" }));
 * server.use(on("ratelimit.check", refusal({ retryAfterMs: 5_000 })));
 * ```
 */
export function handlers({ user }: HandlersOptions = {}): HttpHandler[] {
  return [...limits(), ...sessions(user), ...events(), ...cached(), ...others()];
}

function limits(): HttpHandler[] {
  const decision = (asked: Asked, taken: number): Decision => {
    const { policy = "default" } = { ...Object.fromEntries(asked.query), ...(asked.body as object) } as { policy?: string };
    return { allowed: true, policy, reason: "limit", taken, limit: 1_000, remaining: 1_000 - taken, reset_ms: Date.now() + 60_000 };
  };
  return [
    on("ratelimit.check", (asked) => decision(asked, (asked.body as { cost?: number }).cost ?? 1)),
    on("ratelimit.peek", (asked) => decision(asked, 0)),
    on("ratelimit.reset", undefined),
    on("ratelimit.usage", { hours: [], most_allowed: [], most_refused: [], most_denied: [] }),
  ];
}

function sessions(user: string | undefined): HttpHandler[] {
  let count = 0;
  let session: SessionView | null = null;
  const begin = ({ user, organisation, methods = [], data = {} }: CreateRequest): SessionView => {
    const now = Date.now();
    return { id: `session-${++count}`, user, organisation, methods, data, created_ms: now, authenticated_ms: now, expires_ms: now + 86_400_000, ends_ms: now + 2_592_000_000, version: 1 };
  };
  if (user !== undefined) session = begin({ user });
  const own = (then: (of: SessionView) => SessionView) => () => (session ? (session = then(session)) : problem("session-missing"));
  const list = () => (session ? [{ id: session.id, created_ms: session.created_ms, expires_ms: session.expires_ms, used_ms: session.created_ms, current: true }] : []);
  return [
    on("session.get", () => ({ session })),
    on("session.update", ({ body }) => own((of) => ({ ...of, version: of.version + 1, data: merged(of.data, body as object) }))()),
    on("session.end", () => void (session = null)),
    on("session.refresh", own((of) => of)),
    on("session.stepUp", ({ body }) => own((of) => ({ ...of, ...(body as Partial<SessionView>), authenticated_ms: Date.now() }))()),
    on("session.list", () => (session ? list() : problem("session-missing"))),
    on("session.revoke", ({ params }) => {
      if (params.id !== session?.id) return problem("not-found");
      session = null;
      return undefined;
    }),
    on("session.revokeOthers", () => (session ? { revoked: 0 } : problem("session-missing"))),
    on("sessions.create", ({ body }) => {
      session = begin(body as CreateRequest);
      return HttpResponse.json(session, { status: 201 });
    }),
    on("sessions.active", () => ({ active: session ? 1 : 0, exact: true })),
    on("sessions.revokeAll", () => {
      session = null;
      return { revoked: 1 };
    }),
    on("users.epoch", { epoch: "0" }),
    on("users.sessions", ({ params }) => (session?.user === params.user ? list().map((of) => ({ ...of, current: false })) : [])),
    on("users.endSessions", ({ params }) => {
      const theirs = session?.user === params.user;
      if (theirs) session = null;
      return { revoked: theirs ? 1 : 0 };
    }),
    on("users.endSession", ({ params }) => {
      if (session?.user !== params.user || session?.id !== params.id) return problem("not-found");
      session = null;
      return undefined;
    }),
  ];
}

/** JSON merge patch of one level, as far as tests go. */
function merged(data: Record<string, unknown>, patch: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...data, ...patch }).filter(([, value]) => value !== null));
}

function events(): HttpHandler[] {
  const stored: Placed[] = [];
  const streams = new Set<(placed: Placed) => void>();
  const epoch = "00000000000000000000000000000000";
  const cursorAt = (offset: number) => `${epoch}.${offset}.00000000`;
  const store = (event: NewEvent, source?: string): Verdict => {
    const whole = { specversion: "1.0", source: source ?? "/", ...event, id: event.id ?? crypto.randomUUID() };
    const known = stored.find(({ event }) => event.id === whole.id && event.source === whole.source);
    if (known) return { status: "duplicate", id: whole.id, cursor: known.cursor, offset: known.offset, durable: true };
    const offset = stored.length + 1;
    const placed: Placed = { cursor: cursorAt(offset), offset, received_ms: Date.now(), event: whole };
    stored.push(placed);
    for (const tell of streams) tell(placed);
    return { status: "published", id: whole.id, cursor: placed.cursor, offset, durable: true };
  };
  const fits = (types: readonly string[], type: string) => !types.length || types.some((one) => one === "*" || one === type || (one.endsWith(".*") && type.startsWith(one.slice(0, -1))));
  const page = (after: string | null, types: string[], limit = 100): Page => {
    const from = after ? Number(after.split(".")[1]) : 0;
    const found = stored.slice(from).filter(({ event }) => fits(types, event.type));
    const shown = found.slice(0, limit);
    const more = found.length > limit;
    return { events: shown, cursor: more ? shown.at(-1)!.cursor : cursorAt(stored.length), has_more: more, reset: false };
  };
  const read = ({ query }: Asked) => page(query.get("after"), query.get("type")?.split(",") ?? [], Number(query.get("limit") ?? 100));
  return [
    on("events.publish", ({ body }): Response => {
      if (body instanceof Array) return HttpResponse.json(body.map((event: NewEvent, index) => ({ ...store(event), index })), { status: 207 });
      const verdict = store(body as NewEvent);
      return HttpResponse.json(verdict, { status: verdict.status === "published" ? 201 : 200 });
    }),
    on("events.history", read),
    on("events.poll", read),
    on("events.stream", ({ request, query }) => {
      const types = query.get("type")?.split(",") ?? [];
      const after = request.headers.get("last-event-id") ?? query.get("after");
      const encoder = new TextEncoder();
      let tell: (placed: Placed) => void;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          const send = (event: string, data: unknown, id: string) => controller.enqueue(encoder.encode(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`));
          tell = ({ event, cursor }) => void (fits(types, event.type) && send(event.type, event, cursor));
          if (after) page(after, types, Infinity).events.forEach(tell);
          else send("ready", { cursor: cursorAt(stored.length) }, cursorAt(stored.length));
          streams.add(tell);
        },
        cancel: () => void streams.delete(tell),
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    }),
    on("events.sync", ({ body }) => {
      const { client, events = [], first = 1, after, types = [], limit } = body as SyncRequest;
      const results = events.map((event, index) => {
        const { status, cursor } = store(event as NewEvent, `/clients/${client}`);
        return { number: (first ?? 1) + index, status: status === "published" ? "accepted" : status, cursor };
      });
      const missed = after ? page(after, types, limit ?? 100) : { events: [], cursor: cursorAt(stored.length), has_more: false, reset: false };
      return { results, missed };
    }),
    on("events.grant", ({ body }) => HttpResponse.json({ grant: "mocked", expires_ms: Date.now() + 1_000 * ((body as { ttl_seconds?: number }).ttl_seconds ?? 300) }, { status: 201 })),
    on("events.coordinate", () => HttpResponse.json({ processes: 0 }, { status: 202 })),
    on("events.health", {
      status: "ok",
      durable: true,
      environment: "development",
      warnings: [],
      this_hour: {},
      hours: [],
      top_failing: [],
      publish: { calls: 0 },
      backlog: {},
      dead_letters: { waiting: 0 },
    }),
    on("events.work", { endpoints: [] }),
    on("deadLetters.list", { letters: [], total: 0 }),
    on("deadLetters.get", null),
    on("deadLetters.redrive", { count: 0 }),
    on("deadLetters.purge", { count: 0 }),
  ];
}

function cached(): HttpHandler[] {
  const entries = new Map<string, { entry: EntryRequest; at: number }>();
  const keyOf = (organisation: unknown, key: unknown) => JSON.stringify([organisation ?? null, key]);
  const found = (name: string): EntryBody | null => {
    const known = entries.get(name);
    if (!known) return null;
    const age_ms = Date.now() - known.at;
    return { value: known.entry.value, stale: false, age_ms, fresh_ms: Math.max(0, 1_000 * (known.entry.fresh_seconds ?? 60) - age_ms) };
  };
  const put = (name: string, entry: EntryRequest) => void entries.set(name, { entry, at: Date.now() });
  return [
    on("cache.get", ({ params, query }) => found(keyOf(query.get("organisation"), params.key))),
    on("cache.put", ({ params, query, body }) => put(keyOf(query.get("organisation"), params.key), body as EntryRequest)),
    on("cache.delete", ({ params, query }) => void entries.delete(keyOf(query.get("organisation"), params.key))),
    on("cache.getMany", ({ body }) => {
      const { keys, organisation } = body as { keys: string[]; organisation?: string };
      return { entries: keys.map((key) => ({ key, entry: found(keyOf(organisation, key)) })) };
    }),
    on("cache.invalidate", ({ body }) => {
      const { keys, tags, organisation } = body as { keys?: string[]; tags?: string[]; organisation?: string };
      for (const [name, { entry }] of entries) {
        const [of, key] = JSON.parse(name) as [string | null, string];
        if (of !== (organisation ?? null)) continue;
        if ((!keys && !tags) || keys?.includes(key) || entry.tags?.some((tag) => tags?.includes(tag))) entries.delete(name);
      }
    }),
    on("cache.warm", ({ body }) => {
      const { entries: more, organisation } = body as { entries: (EntryRequest & { key: string })[]; organisation?: string };
      for (const { key, ...entry } of more) put(keyOf(organisation, key), entry);
      return { stored: more.length, kept: 0 };
    }),
    on("cache.metrics", { connected: true, keys: {}, memory: {}, operations: {} }),
  ];
}

function others(): HttpHandler[] {
  return [on("health", { status: "ok", version: "mocked" }), on("metrics", () => new HttpResponse("", { headers: { "content-type": "text/plain" } })), on("alerts", { status: "ok", view: "instance", alerts: [] })];
}

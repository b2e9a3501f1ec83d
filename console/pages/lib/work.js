// Histories, work that waits for subscribers, and outboxes of clients, as the events keep them in the store (docs/reference/KEYS.md).

import { api } from './functions.js';
import { call, CallError, pipeline, session } from './store.js';
import { exact } from './json.js';

/** Items that are shown of one subscriber, and outboxes. */
const SHOWN = 50;
/** Keys that one look for outboxes goes through. */
const LOOKED = 5000;
/** How long an outbox is remembered after it last sent something. */
const OUTBOX_MS = 35 * 864e5;

// The functions keep what they have in the first database.
const db = () => session.value.databases[0].name;

const object = (flat) => new Map(Array.from({ length: (flat?.length ?? 0) / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]]));
const text = (value) => (typeof value === 'string' ? value : '');

/** `ms what it said`, a line for each failure. */
const failures = (tries) => text(tries).split('\n').filter(Boolean).map((line) => ({ at: Number(line.slice(0, line.indexOf(' '))), error: line.slice(line.indexOf(' ') + 1) }));

function event(fields) {
  try {
    return exact(text(fields.get('d')));
  } catch {
    return null;
  }
}

/** Events of a history, the newest first, from one that was read before: `{ events: [{ entry, at, event }], next }`. */
export async function history(organisation, before, count, signal) {
  if (!/^[\w-]{0,64}$/.test(organisation)) throw new CallError('An organisation has letters, digits, - and _ only.', 400);
  const { environment } = await api('GET', 'events/health');
  const key = `events:${environment}:history${organisation && `:${organisation}`}`;
  const entries = await call(['XREVRANGE', key, before ? `(${before}` : '+', '-', 'COUNT', count], { db: db(), signal });
  const events = entries.map(([entry, flat]) => ({ entry, at: Number(object(flat).get('m')), event: event(object(flat)) }));
  return { events, next: events.length === count ? events.at(-1).entry : null };
}

/** What waits for one subscriber, the oldest first: event, attempts, when it is tried next, how it failed. */
async function items(prefix, name) {
  const key = `${prefix}:work:${name}`;
  const [entries, pending, retries] = await pipeline([['XRANGE', key, '-', '+', 'COUNT', SHOWN], ['XPENDING', key, name, '-', '+', 1000], ['ZRANGE', `${key}:retry`, 0, 999, 'WITHSCORES']], { db: db() });
  const ids = (entries.result ?? []).map(([id]) => id);
  const tries = ids.length > 0 ? (await call(['HMGET', `${key}:tries`, ...ids], { db: db() }).catch(() => [])) : [];
  const delivered = new Map((pending.result ?? []).map(([id, , , count]) => [id, count]));
  const due = object(retries.result);
  return (entries.result ?? []).map(([id, flat], at) => ({ id, event: event(object(flat)), attempts: delivered.get(id) ?? 0, next: due.has(id) ? Number(due.get(id)) : null, failures: failures(tries[at]) }));
}

/** Subscribers with the types that they want, what waits for them and for how long. */
export async function subscribers() {
  const health = await api('GET', 'events/health', { query: { hours: 24 } });
  const prefix = `events:${health.environment}`;
  const known = object(await call(['HGETALL', `${prefix}:work`], { db: db() }).catch(() => []));
  known.delete('#');
  const named = [...known].filter(([name]) => typeof name === 'string');
  return Promise.all(named.map(async ([name, types]) => ({ name, types: text(types), ...health.backlog?.[name], items: await items(prefix, name).catch(() => []) })));
}

/** Outboxes that have sent something: `{ organisation, id, epoch, number, sent }`, the newest first. */
export async function outboxes() {
  const { environment } = await api('GET', 'events/health');
  const start = `events:${environment}:client:`;
  const [, keys] = await call(['SCAN', '0', 'MATCH', `${start}*`, 'COUNT', LOOKED], { db: db() });
  const found = keys.filter((key) => typeof key === 'string').slice(0, SHOWN);
  const [rows, ttls] = await Promise.all([pipeline(found.map((key) => ['HMGET', key, 'epoch', 'seq']), { db: db() }), pipeline(found.map((key) => ['PTTL', key]), { db: db() })]);
  const all = found.map((key, at) => {
    const parts = key.slice(start.length).split(':');
    const [epoch, number] = rows[at].result ?? [];
    return { id: parts.at(-1), organisation: parts.length > 1 ? parts[0] : null, epoch, number, sent: ttls[at].result > 0 ? Date.now() - (OUTBOX_MS - ttls[at].result) : null };
  });
  return all.sort((one, other) => (other.sent ?? 0) - (one.sent ?? 0));
}

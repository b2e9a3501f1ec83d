// Values that the store and the functions have, to fill in where an operation asks for such a one.

import { api } from './functions.js';
import { pipeline, session } from './store.js';

/** Keys that are looked through for one pattern: a large store gives some of what it has. */
const LOOKED = 5000;
/** Values of one name. */
const KEPT = 50;

/** Patterns of keys, and which of their parts are values; those of no organisation first. */
const KEYS = [
  ['*user:*:sessions', /user:([^:]+):sessions$/, ['user']],
  ['*org:*:*:sessions', /org:([^:]+):([^:]+):sessions$/, ['organisation', 'user']],
  ['ratelimit:*', /^ratelimit:([\w-]+):(?!events|dynamic|denyList|allowList|lease|gcra)([^#].*?)(?::\d+)?$/, ['policy', 'identifier']],
  ['cache:shared:*', /^cache:shared:\{([^}]*)\}$/, ['key']],
  ['cache:entries:*', /^cache:entries:\{([^}]*)\}:([^#].*)$/, ['organisation', 'key']],
  ['events:*:history:*', /^events:\w+:history:([\w-]+)$/, ['organisation']],
];

function plain(part) {
  try {
    return part === '%' ? '' : decodeURIComponent(part);
  } catch {
    return '';
  }
}

/** A function from the name of a parameter or member to the values that are there. */
export async function examples() {
  const found = new Map();
  const add = (name, value) => {
    if (typeof value !== 'string' || value === '') return;
    const values = found.get(name) ?? [];
    if (values.length < KEPT && !values.includes(value)) found.set(name, [...values, value]);
  };
  const scans = KEYS.map(([match]) => ['SCAN', '0', 'MATCH', match, 'COUNT', LOOKED]);
  const none = () => undefined;
  const [pages, history, letters] = await Promise.all([
    pipeline(scans, { db: session.value.databases[0].name }).catch(() => []),
    api('GET', 'events/history', { query: { limit: 100, since: Date.now() - 864e5 } }).catch(none),
    api('GET', 'events/dlq', { query: { limit: 20 } }).catch(none),
  ]);
  pages.forEach(({ result }, at) => {
    const [, form, names] = KEYS[at];
    for (const key of (result?.[1] ?? []).slice(0, LOOKED)) {
      const parts = typeof key === 'string' ? form.exec(key) : null;
      if (parts) names.forEach((name, at) => add(name, plain(parts[at + 1])));
    }
  });
  for (const { event, cursor } of [...(history?.events ?? [])].reverse()) {
    add('after', cursor);
    add('type', event.type);
    add('correlation_id', event.correlationid);
  }
  for (const letter of letters?.letters ?? []) {
    add('letter', letter.id);
    add('subscriber', letter.subscriber);
    add('reason', letter.reason);
  }
  const [user] = found.get('user') ?? [];
  const sessions = user && !/^\.{1,2}$/.test(user) ? await api('GET', `users/${encodeURIComponent(user)}/sessions`).catch(() => []) : [];
  for (const { id } of sessions) add('session', id);
  for (const [list, one] of [['keys', 'key'], ['types', 'type'], ['ids', 'letter']]) found.set(list, found.get(one) ?? []);
  return (name) => found.get(name) ?? [];
}

// Calls the REST API of a database through the console.

import { signal, computed } from '../vendor/preact.js';
import { fromBase64, toText } from './bytes.js';
import { exact } from './json.js';
import { location } from './router.js';

const HEADERS = { 'x-restis-console': '1' };

/** What runs and where; `null` until it is known, `false` while the console is locked. */
export const session = signal(null);

/** The name of the database that is shown. */
export const database = computed(() => {
  const names = session.value ? session.value.databases.map((one) => one.name) : [];
  const wanted = location.value.query.db;
  return names.includes(wanted) ? wanted : names[0];
});

/** An answer that is no success. */
export class CallError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Why restis cannot be reached; empty while it can. */
export const trouble = signal('');
/** Counts how often restis came back. */
export const returns = signal(0);

/** Fetches from the console's own API; a session that ended locks the console. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(`/console/api/${path}`, { ...options, headers: { ...HEADERS, ...options.headers } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    trouble.value = 'restis does not answer. Is it still running?';
    throw new CallError(trouble.value, 0);
  }
  if (trouble.value) {
    trouble.value = '';
    returns.value++;
  }
  if (response.status === 401) session.value = false;
  return response;
}

/** Reads what runs; opens the session first where the address carries the token. */
export async function openSession() {
  const token = /^#(?:.*&)?token=([^&]+)/.exec(globalThis.location.hash)?.[1];
  if (token) {
    history.replaceState(null, '', '#/');
    location.value = { view: 'start', query: {} };
    await unlock(token);
  }
  const response = await request('session');
  if (response.status === 401) return;
  if (!response.ok) throw new CallError((await response.text()).slice(0, 200), response.status);
  const answer = await response.json();
  // The views begin again only where something changed.
  if (JSON.stringify(answer) !== JSON.stringify(session.value)) session.value = answer;
}

/** Looks every few seconds whether restis runs, and what it says of itself. */
export function watch() {
  const look = async () => {
    if (!document.hidden && session.value !== false) await openSession().catch((error) => (trouble.value ||= error.message));
    setTimeout(look, trouble.value ? 1000 : 5000);
  };
  look();
  // A new link in the same tab changes the address only.
  addEventListener('hashchange', () => /token=/.test(globalThis.location.hash) && openSession().catch(() => {}));
}

/** Shows a token; `true` if it opens the console. */
export async function unlock(token) {
  const response = await request('session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  return response.ok;
}

/** A name in a path, where `.` and `..` mean something else whatever escapes them. */
export function segment(name) {
  if (/^\.{0,2}$/.test(name)) throw new CallError(`“${name}” cannot be a part of an address.`, 0);
  return encodeURIComponent(name);
}

const base = (name) => `store/${segment(name ?? database.value)}`;

/** Decodes a reply of the base64 encoding: strings become text, or bytes where they are no UTF-8. */
export function decode(value) {
  if (typeof value === 'string') return value === 'OK' ? value : toText(fromBase64(value));
  if (Array.isArray(value)) return value.map(decode);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
  }
  return value;
}

async function result(response) {
  const text = await response.text();
  try {
    return exact(text);
  } catch {
    throw new CallError(text.slice(0, 200) || `The store answered with status ${response.status} and nothing else.`, response.status);
  }
}

const encoder = new TextEncoder();

/** JSON of arguments; bytes that are no UTF-8 stay as they are in it, which the server takes. */
function body(commands) {
  if (!commands.flat(2).some((arg) => arg instanceof Uint8Array)) return JSON.stringify(commands, (_, value) => (Array.isArray(value) ? value : String(value)));
  const parts = [];
  const add = (value) => {
    if (Array.isArray(value)) {
      value.forEach((item, at) => (parts.push(encoder.encode(at ? ',' : '[')), add(item)));
      parts.push(encoder.encode(value.length ? ']' : '[]'));
    } else if (value instanceof Uint8Array) {
      const bytes = [];
      for (const byte of value) {
        if (byte === 0x22 || byte === 0x5c) bytes.push(0x5c, byte);
        else if (byte < 0x20) bytes.push(...encoder.encode(`\\u00${byte.toString(16).padStart(2, '0')}`));
        else bytes.push(byte);
      }
      parts.push(encoder.encode('"'), Uint8Array.from(bytes), encoder.encode('"'));
    } else {
      parts.push(encoder.encode(JSON.stringify(String(value))));
    }
  };
  add(commands);
  return new Blob(parts);
}

const post = async (path, commands, signal) =>
  result(await request(path, { method: 'POST', headers: { 'upstash-encoding': 'base64', 'content-type': 'application/json' }, body: body(commands), signal }));

/** Runs one command. Arguments are texts, numbers or bytes. Throws what the store refuses. */
export async function call(args, { db, signal } = {}) {
  const answer = await post(base(db), args, signal);
  if (answer.error !== undefined) throw new CallError(answer.error, 400);
  return decode(answer.result);
}

/** Runs commands in one request; gives `{ result }` or `{ error }` for each. */
export async function pipeline(commands, { db, signal } = {}) {
  if (commands.length === 0) return [];
  const answer = await post(`${base(db)}/pipeline`, commands, signal);
  if (!Array.isArray(answer)) throw new CallError(answer.error ?? 'The store gave no list of replies.', 400);
  return answer.map((one) => (one.error !== undefined ? { error: one.error } : { result: decode(one.result) }));
}

/** Runs one command for each item. */
export const each = (items, command, options) => pipeline(items.map(command), options);

/** Follows a stream of events (`monitor`, `subscribe/…`); calls `onData` with each text, ends by `signal`. */
export async function follow(path, onData, { db, signal } = {}) {
  const response = await request(`${base(db)}/${path}`, { method: 'POST', headers: { accept: 'text/event-stream' }, signal });
  await readEvents(response, onData);
}

/** Reads a response of server-sent events to its end. Lines of one event are one text. */
export async function readEvents(response, onData) {
  if (!response.ok || !response.body) throw new CallError((await response.text()).slice(0, 200), response.status);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let data = null;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === 'AbortError' ? error : new CallError('The connection broke.', 0);
    });
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) {
        const text = line.slice(line[5] === ' ' ? 6 : 5);
        data = data === null ? text : `${data}\n${text}`;
      } else if (line === '' && data !== null) {
        onData(data);
        data = null;
      }
    }
  }
}

// Calls the REST API of a database through the console.

import { signal, computed } from '../vendor/preact.js';
import { fromBase64, toBytes, toText } from './bytes.js';
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

/** Fetches from the console's own API; a session that ended locks the console. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(`/console/api/${path}`, { ...options, headers: { ...HEADERS, ...options.headers } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new CallError('restis does not answer. Is it still running?', 0);
  }
  if (response.status === 401) session.value = false;
  return response;
}

/** Reads what runs; opens the session first where the address carries the token. */
export async function openSession() {
  const token = /[#&]token=([^&]+)/.exec(globalThis.location.hash)?.[1];
  if (token) {
    history.replaceState(null, '', '#/');
    await unlock(decodeURIComponent(token));
  }
  const response = await request('session');
  if (response.ok) session.value = await response.json();
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

/** A segment of a path: every byte that is no letter or digit is escaped. */
function segment(value) {
  let text = '';
  for (const byte of toBytes(value)) {
    const letter = String.fromCharCode(byte);
    text += /[A-Za-z0-9]/.test(letter) ? letter : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

const base = (name) => `store/${encodeURIComponent(name ?? database.value)}`;

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
  let body;
  try {
    body = await response.json();
  } catch {
    throw new CallError(`status ${response.status}, and no JSON`, response.status);
  }
  return body;
}

/** Runs one command. Arguments are texts, numbers or bytes. Throws what the store refuses. */
export async function call(args, { db, signal } = {}) {
  const encoding = { 'upstash-encoding': 'base64' };
  const isText = args.every((arg) => !(arg instanceof Uint8Array));
  // JSON carries only text; a path carries any bytes, and its body is the last argument.
  const last = args[args.length - 1];
  const response = isText
    ? await request(base(db), {
        method: 'POST',
        headers: { ...encoding, 'content-type': 'application/json' },
        body: JSON.stringify(args.map(String)),
        signal,
      })
    : await request(`${base(db)}/${args.slice(0, -1).map(segment).join('/')}`, {
        method: 'POST',
        headers: encoding,
        body: toBytes(last),
        signal,
      });
  const body = await result(response);
  if (body.error !== undefined) throw new CallError(body.error, response.status);
  return decode(body.result);
}

/** Runs commands of texts in one request; gives `{ result }` or `{ error }` for each. */
export async function pipeline(commands, { db, signal } = {}) {
  if (commands.length === 0) return [];
  const response = await request(`${base(db)}/pipeline`, {
    method: 'POST',
    headers: { 'upstash-encoding': 'base64', 'content-type': 'application/json' },
    body: JSON.stringify(commands.map((args) => args.map(String))),
    signal,
  });
  const body = await result(response);
  if (!Array.isArray(body)) throw new CallError(body.error ?? 'no list of replies', response.status);
  return body.map((one) => (one.error !== undefined ? { error: one.error } : { result: decode(one.result) }));
}

/** Runs one command for each item, by pipelines where all are text. */
export async function each(items, command, options) {
  const commands = items.map(command);
  if (commands.flat().some((arg) => arg instanceof Uint8Array)) {
    const settle = (args) => call(args, options).then((value) => ({ result: value }), (error) => ({ error: error.message }));
    return Promise.all(commands.map(settle));
  }
  return pipeline(commands, options);
}

/** Follows a stream of events (`monitor`, `subscribe/…`); calls `onData` with each text, ends by `signal`. */
export async function follow(path, onData, { db, signal } = {}) {
  const response = await request(`${base(db)}/${path}`, { method: 'POST', headers: { accept: 'text/event-stream' }, signal });
  await readEvents(response, onData);
}

/** Reads a response of server-sent events to its end. */
export async function readEvents(response, onData) {
  if (!response.ok || !response.body) throw new CallError((await response.text()).slice(0, 200), response.status);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.startsWith('data:')) onData(line.slice(5).trimStart());
  }
}

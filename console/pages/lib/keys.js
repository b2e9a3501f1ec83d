// Walks over the keys of a database and arranges them as a tree.

import { call, each } from './store.js';
import { display, toBytes } from './bytes.js';

/** Keys that one step of the walk asks for. */
const STEP = 1000;
/** Branches above a key at most: the rest of a name is one part. */
const DEPTH = 64;

/** Walks with SCAN until `most` keys are found; calls `onKeys` with each page. Returns the cursor, `'0'` at the end. */
export async function walk({ match, type, cursor = '0', most = Infinity }, onKeys, options) {
  let found = 0;
  do {
    const args = ['SCAN', cursor, 'COUNT', STEP];
    if (match) args.push('MATCH', match);
    if (type) args.push('TYPE', type);
    const [next, keys] = await call(args, options);
    cursor = String(next);
    found += keys.length;
    onKeys(keys);
  } while (cursor !== '0' && found < most && !options?.signal?.aborted);
  return cursor;
}

/**
 * A node: `{ name, path, prefix, count, children, fresh }`; a leaf has `key` instead of children.
 * `prefix` is what its keys begin with: a text, or bytes where the keys are bytes.
 */
const branch = (name, path, prefix) => ({
  name, path, prefix, count: 0, children: new Map(), fresh: [], sorted: [],
  /** What of a key's name is after the prefix. */
  nameOf: (key) => display(key.slice(prefix.length)),
});
export const root = () => branch('', '', '');

/** Bytes as letters of the same numbers, and back, so that both can be split. */
const toLetters = (bytes) => {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};
const fromLetters = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

function split(text, separator) {
  const parts = text.split(separator);
  return parts.length > DEPTH ? [...parts.slice(0, DEPTH), parts.slice(DEPTH).join(separator)] : parts;
}

/** Adds keys; those of a page that are there already are left out (SCAN may give a key twice). */
export function insert(tree, keys, separator) {
  for (const key of keys) {
    const isBytes = key instanceof Uint8Array;
    const text = isBytes ? toLetters(key) : key;
    const parts = separator ? split(text, separator) : [text];
    const shown = (part) => (isBytes ? display(fromLetters(part)) : display(part));
    // Bytes and texts that look alike are different nodes.
    const kind = isBytes ? 'b' : 't';
    let node = tree;
    let length = 0;
    const path = [tree];
    for (const part of parts.slice(0, -1)) {
      length += part.length + separator.length;
      let child = node.children.get(kind + part);
      if (!child) {
        const prefix = text.slice(0, length);
        child = branch(shown(part), `${node.path || kind}${part}${separator}`, isBytes ? fromLetters(prefix) : prefix);
        node.children.set(kind + part, child);
        node.fresh.push(child);
      }
      node = child;
      path.push(node);
    }
    const leaf = `\0${kind}${text}`;
    if (node.children.has(leaf)) continue;
    const added = { name: shown(text.slice(length)), key, count: 1 };
    node.children.set(leaf, added);
    node.fresh.push(added);
    for (const one of path) one.count++;
  }
}

const order = (one, other) => (one.children ? 0 : 1) - (other.children ? 0 : 1) || (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);

/** The first of many, without sorting all. */
export function best(all, most, order) {
  let top = [];
  for (let at = 0; at < all.length; at += 4000) {
    const last = top.length === most ? top[most - 1] : null;
    const page = all.slice(at, at + 4000);
    top = [...top, ...(last ? page.filter((one) => order(one, last) < 0) : page)].sort(order).slice(0, most);
  }
  return top;
}

const KEPT = 1000;

/** The first children in order: branches, then keys. Only what came since the last call is compared. */
export function first(node, most) {
  const isEnough = node.sorted.length >= Math.min(most, node.children.size - node.fresh.length);
  if (!isEnough) node.sorted = best([...node.children.values()], Math.max(most, KEPT), order);
  else if (node.fresh.length > 0) node.sorted = best([...node.sorted, ...node.fresh], Math.max(most, KEPT), order);
  node.fresh = [];
  return node.sorted.slice(0, most);
}

/** Keys of a tree, up to a number. */
export function leaves(node, most, found = []) {
  for (const child of first(node, most)) {
    if (found.length >= most) break;
    if (child.children) leaves(child, most, found);
    else found.push(child.key);
  }
  return found;
}

/** The keys of a node, or of all that is below it, in no order. */
export function* leavesOf(node, isDeep) {
  for (const child of node.children.values()) {
    if (!child.children) yield child.key;
    else if (isDeep) yield* leavesOf(child, isDeep);
  }
}

/** A text, or bytes, as the part of a glob that matches only itself. */
export function literal(value) {
  if (typeof value === 'string') return value.replace(/[\\*?[\]]/g, '\\$&');
  return Uint8Array.from([...value].flatMap((byte) => ('\\*?[]'.includes(String.fromCharCode(byte)) ? [0x5c, byte] : [byte])));
}

/** The pattern of the keys that begin with this. */
export function below(prefix) {
  const start = literal(prefix);
  return typeof start === 'string' ? `${start}*` : Uint8Array.from([...start, 0x2a]);
}

/** Whether a key begins with this. */
export function isBelow(key, prefix) {
  if (typeof key === 'string' && typeof prefix === 'string') return key.startsWith(prefix);
  const [bytes, start] = [toBytes(key), toBytes(prefix)];
  return start.every((byte, at) => bytes[at] === byte);
}

/** Type, time to live and bytes of each key. */
export async function details(keys, options) {
  const [types, ttls, sizes] = await Promise.all(
    [(key) => ['TYPE', key], (key) => ['PTTL', key], (key) => ['MEMORY', 'USAGE', key]].map((command) => each(keys, command, options)),
  );
  return keys.map((key, at) => ({ key, type: types[at].result, ttl: ttls[at].result, bytes: sizes[at].result ?? null }));
}

/** `1 d 2 h`, `350 ms`; what PTTL says. */
export function duration(ms) {
  if (ms === -1) return 'no expiry';
  if (ms == null || ms === -2) return 'gone';
  const units = [['d', 864e5], ['h', 36e5], ['min', 6e4], ['s', 1000]];
  const at = units.findIndex(([, size]) => ms >= size);
  if (at < 0) return `${ms} ms`;
  const [unit, size] = units[at];
  const rest = units[at + 1] && Math.floor((ms % size) / units[at + 1][1]);
  return `${Math.floor(ms / size)} ${unit}${rest ? ` ${rest} ${units[at + 1][0]}` : ''}`;
}

/** `90` and `1h30m` are seconds; empty: none. */
export function toMillis(text) {
  if (text.trim() === '') return null;
  if (/^\d+(\.\d+)?$/.test(text.trim())) return Math.round(Number(text) * 1000);
  const units = { ms: 1, s: 1000, m: 6e4, h: 36e5, d: 864e5 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text.replaceAll(/\s+(?=\d|$)/g, '').trim()) throw new Error('Write seconds, or a time such as 1h30m.');
  return Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit], 0));
}

// Walks over the keys of a database and arranges them as a tree.

import { call, each } from './store.js';
import { display, identity } from './bytes.js';

/** Keys that one step of the walk asks for. */
const STEP = 1000;

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

/** A node: `{ name, path, count, children, key }`; `key` is set where a key ends. */
export const root = () => ({ name: '', path: '', count: 0, children: new Map() });

/** Adds keys; those of a page that are there already are left out (SCAN may give a key twice). */
export function insert(tree, keys, separator) {
  for (const key of keys) {
    const parts = separator ? display(key).split(separator) : [display(key)];
    const leaf = `\0${identity(key)}`;
    let node = tree;
    const path = [tree];
    for (const part of parts.slice(0, -1)) {
      let child = node.children.get(part);
      if (!child) {
        child = { name: part, path: `${node.path}${part}${separator}`, count: 0, children: new Map() };
        node.children.set(part, child);
      }
      node = child;
      path.push(node);
    }
    if (node.children.has(leaf)) continue;
    node.children.set(leaf, { name: parts[parts.length - 1], key, count: 1 });
    for (const one of path) one.count++;
  }
}

/** A text as the part of a glob that matches only itself. */
export const literal = (text) => text.replace(/[\\*?[\]]/g, '\\$&');

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

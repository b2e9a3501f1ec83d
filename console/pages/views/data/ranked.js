// The first keys by size or expiry, of as many keys as there are: all are looked at, only the first are kept.

import { useEffect, useRef, useState } from '../../vendor/preact.js';
import { best, details, leavesOf } from '../../lib/keys.js';

/** Keys that are looked at in one request. */
const STEP = 1000;

/** By what keys are sorted: id, name, order of what `details` gives. */
export const ORDERS = [
  ['key', 'Name', null],
  ['bytes', 'Size', (one, other) => (other.bytes ?? 0) - (one.bytes ?? 0)],
  ['ttl', 'Expires in', (one, other) => end(one) - end(other)],
];
const end = (one) => (one.ttl >= 0 ? one.ttl : Infinity);

/**
 * Looks at the keys of a node, or of all that is below it, and keeps the first `most` by an order:
 * `{ rows, looked, busy, error }`. Nothing is looked at while `order` is null.
 */
export function useRanked(node, { isDeep, order, most, version }) {
  const [, draw] = useState(0);
  const state = useRef({ rows: [], looked: 0 });
  useEffect(() => {
    const walked = { rows: [], looked: 0, busy: order !== null };
    state.current = walked;
    if (order === null) return undefined;
    const abort = new AbortController();
    // Numbers that are equal, of Infinity too, keep their order.
    const compare = (one, other) => order(one, other) || 0;
    const look = async () => {
      let drawn = 0;
      let page = [];
      const take = async () => {
        const read = await details(page, { signal: abort.signal });
        if (abort.signal.aborted) return;
        walked.rows = best([...walked.rows, ...read.filter(({ ttl }) => ttl !== -2)], most, compare);
        walked.looked += page.length;
        page = [];
        if (performance.now() - drawn > 1000) draw((drawn = performance.now()));
      };
      for (const key of leavesOf(node, isDeep)) {
        page.push(key);
        if (page.length === STEP) await take();
        if (abort.signal.aborted) return;
      }
      if (page.length > 0) await take();
    };
    look().catch((error) => (walked.error = error)).then(() => {
      walked.busy = false;
      if (!abort.signal.aborted) draw(performance.now());
    });
    draw(performance.now());
    return () => abort.abort();
  }, [node, isDeep, order, most, version]);
  return state.current;
}

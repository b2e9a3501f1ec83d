// Keys as a list by name, size or expiry.

import { html, useState } from '../../vendor/preact.js';
import { identity, short, size } from '../../lib/bytes.js';
import { details, duration, leaves } from '../../lib/keys.js';
import { setQuery } from '../../lib/router.js';
import { useLoad } from '../../lib/ui.js';
import { ORDERS, useRanked } from './ranked.js';

/** Keys that are kept by an order, and those of them that are drawn at once. */
const KEPT = 1000;
const DRAWN = 200;

export function List({ tree, isReading, by, selected, choose }) {
  const [drawn, setDrawn] = useState(DRAWN);
  const order = isReading ? null : ORDERS.find(([id]) => id === by)?.[2] ?? null;
  const ranked = useRanked(tree, { isDeep: true, order, most: KEPT, version: tree.count });
  // While keys are read, the first ones are looked at once, not again with every page.
  const isNamed = order === null;
  const { value: named = [], loading, error } = useLoad((signal) => (isNamed ? details(leaves(tree, KEPT), { signal }) : Promise.resolve([])), [tree, isNamed, isReading, !isReading || tree.count >= KEPT]);
  const rows = isNamed ? named : ranked.rows;
  const failure = error ?? ranked.error;
  const head = ([id, name]) => html`<th aria-sort=${by === id ? 'ascending' : undefined}><button class="quiet small" onClick=${() => setQuery({ sort: id })}>${name}</button></th>`;
  return html`${failure && html`<p class="error">${failure.message}</p>`}
    ${tree.count > KEPT && html`<p class="faint" role="status">${isNamed ? 'The first 1,000 by name' : 'The first 1,000'} of ${tree.count.toLocaleString('en')}${ranked.busy ? `; ${ranked.looked.toLocaleString('en')} are looked at so far…` : '.'}</p>`}
    <div class="scroll" tabindex="0"><table aria-busy=${String(loading || ranked.busy === true)}><thead><tr>${head(ORDERS[0])}<th>Type</th>${head(ORDERS[2])}${head(ORDERS[1])}</tr></thead>
    <tbody>${rows.slice(0, drawn).map(
      (one) => html`<tr key=${identity(one.key)} aria-current=${identity(one.key) === selected ? 'true' : undefined}>
        <td><button class="leaf" onClick=${() => choose(one.key)}>${short(one.key)}</button></td><td>${one.type}</td><td>${duration(one.ttl)}</td><td>${size(one.bytes)}</td></tr>`,
    )}</tbody></table></div>
    ${rows.length > drawn && html`<p><button class="quiet" onClick=${() => setDrawn(drawn + DRAWN)}>${(rows.length - drawn).toLocaleString('en')} more</button></p>`}`;
}

// Keys as a tree by the separator of their names.

import { html, useState } from '../../vendor/preact.js';
import { identity, short, size } from '../../lib/bytes.js';
import { details, duration, first } from '../../lib/keys.js';
import { useLoad } from '../../lib/ui.js';
import { ORDERS, useRanked } from './ranked.js';

/** Children that are shown at once. */
const SHOWN = 300;

/** What type, expiry and size of a key are, where they are known. */
const Facts = ({ one }) => one && html`<span class="facts faint"><span>${one.type === 'ReJSON-RL' ? 'json' : one.type}</span><span>${one.ttl === -1 ? '' : duration(one.ttl)}</span><span>${size(one.bytes)}</span></span>`;

function Leaf({ child, facts, selected, choose }) {
  return html`<li class="branch"><button class="leaf" aria-current=${identity(child.key) === selected ? 'true' : undefined} onClick=${() => choose(child.key)}>${short(child.name)}</button><${Facts} one=${facts} /></li>`;
}

/** Branches by name, then keys in the order that is wanted. */
function useChildren(node, isOpen, by, most, isReading) {
  const order = isOpen && !isReading ? ORDERS.find(([id]) => id === by)?.[2] ?? null : null;
  const named = isOpen ? first(node, most) : [];
  const keys = named.filter((child) => !child.children).map((child) => child.key);
  // While keys are read, what is shown changes with every page.
  const { value: read = [] } = useLoad((signal) => (isOpen && !isReading && order === null ? details(keys, { signal }) : Promise.resolve([])), [isOpen, isReading, order, most, node.count]);
  const ranked = useRanked(node, { isDeep: false, order, most, version: node.count });
  const facts = new Map([...read, ...ranked.rows].map((one) => [identity(one.key), one]));
  if (order === null || ranked.rows.length === 0) return { children: named, facts, ranked };
  const branches = named.filter((child) => child.children);
  const leaves = ranked.rows.slice(0, Math.max(0, most - branches.length)).map(({ key }) => ({ key, name: node.nameOf(key) }));
  return { children: [...branches, ...leaves], facts, ranked };
}

export function Node({ node, opened, toggle, by, isReading, selected, choose, removeBelow }) {
  const [most, setMost] = useState(SHOWN);
  const isOpen = node.path === '' || opened.has(node.path);
  const { children, facts, ranked } = useChildren(node, isOpen, by, most, isReading);
  const rows = html`<ul role=${node.path === '' ? undefined : 'group'}>
    ${ranked.busy && html`<li class="faint" role="status">${ranked.looked.toLocaleString('en')} keys looked at…</li>`}
    ${ranked.error && html`<li class="error">${ranked.error.message}</li>`}
    ${children.map((child) =>
      child.children
        ? html`<${Node} key=${child.path} ...${{ node: child, opened, toggle, by, isReading, selected, choose, removeBelow }} />`
        : html`<${Leaf} key=${identity(child.key)} child=${child} facts=${facts.get(identity(child.key))} selected=${selected} choose=${choose} />`,
    )}
    ${isOpen && node.children.size > most && html`<li><button class="quiet" onClick=${() => setMost(most + SHOWN)}>${(node.children.size - most).toLocaleString('en')} more</button></li>`}
  </ul>`;
  if (node.path === '') return rows;
  return html`<li><div class="branch">
      <button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => toggle(node.path)}>${isOpen ? '▾' : '▸'} ${short(node.name)} <span class="faint">${node.count.toLocaleString('en')}</span></button>
      <button class="quiet small" aria-label=${`Delete all keys below ${short(node.prefix)}`} onClick=${() => removeBelow(node)}>Delete</button>
    </div>${isOpen && rows}</li>`;
}

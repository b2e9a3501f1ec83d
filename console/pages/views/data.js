// The keys of a database, and the value of one.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { call, database, each, returns } from '../lib/store.js';
import { identity, short, size } from '../lib/bytes.js';
import { below, details, duration, first, insert, isBelow, leaves, root, walk } from '../lib/keys.js';
import { location, setQuery } from '../lib/router.js';
import { confirmed, notify, Tabs, useLoad } from '../lib/ui.js';
import { fromAddress, Key, toAddress } from './data/key.js';
import { Create } from './data/create.js';
import { Move } from './data/move.js';

/** Keys that are read before the walk pauses, and children that are shown at once. */
const PAUSE = 200_000;
const SHOWN = 300;

const TYPES = ['', 'string', 'hash', 'list', 'set', 'zset', 'stream', 'ReJSON-RL'];

/** Walks over the keys that match; the page is drawn again at most every 250 ms. */
function useKeys({ match, type, separator }) {
  const [, draw] = useState(0);
  const [round, setRound] = useState(0);
  const state = useRef(null);
  const run = async (walked, signal) => {
    walked.busy = true;
    draw(performance.now());
    let drawn = performance.now();
    try {
      walked.cursor = await walk({ match, type, cursor: walked.cursor, most: PAUSE }, (keys) => {
        if (signal.aborted) return;
        insert(walked.tree, keys, separator);
        if (performance.now() - drawn > 250) draw((drawn = performance.now()));
      }, { signal });
    } catch (error) {
      if (!signal.aborted) walked.error = error;
    }
    walked.busy = false;
    if (!signal.aborted) draw(performance.now());
  };
  useEffect(() => {
    const abort = new AbortController();
    state.current = { tree: root(), cursor: '0', total: null, abort };
    const walked = state.current;
    call(['DBSIZE'], { signal: abort.signal }).then((total) => ((walked.total = total), draw(performance.now())), () => {});
    run(walked, abort.signal);
    return () => abort.abort();
  }, [match, type, separator, database.value, round, returns.value]);
  return { ...(state.current ?? { tree: root(), busy: true }), more: () => run(state.current, state.current.abort.signal), reload: () => setRound((round) => round + 1) };
}

function Node({ node, opened, toggle, selected, choose, removeBelow }) {
  const [most, setMost] = useState(SHOWN);
  const isOpen = node.path === '' || opened.has(node.path);
  const children = isOpen ? first(node, most) : [];
  const rows = html`<ul role=${node.path === '' ? undefined : 'group'}>
    ${children.map((child) =>
      child.children
        ? html`<${Node} key=${child.path} ...${{ node: child, opened, toggle, selected, choose, removeBelow }} />`
        : html`<li key=${identity(child.key)}><button class="leaf" aria-current=${identity(child.key) === selected ? 'true' : undefined} onClick=${() => choose(child.key)}>${short(child.name)}</button></li>`,
    )}
    ${isOpen && node.children.size > most && html`<li><button class="quiet" onClick=${() => setMost(most + SHOWN)}>${(node.children.size - most).toLocaleString('en')} more</button></li>`}
  </ul>`;
  if (node.path === '') return rows;
  return html`<li><div class="branch">
      <button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => toggle(node.path)}>${isOpen ? '▾' : '▸'} ${short(node.name)} <span class="faint">${node.count.toLocaleString('en')}</span></button>
      <button class="quiet small" aria-label=${`Delete all keys below ${short(node.prefix)}`} onClick=${() => removeBelow(node)}>Delete</button>
    </div>${isOpen && rows}</li>`;
}

/** Deletes the keys below a node, after they were counted. */
async function removeBelow(node, reload) {
  const found = new Map();
  try {
    await walk({ match: below(node.prefix) }, (page) => {
      for (const key of page) if (isBelow(key, node.prefix)) found.set(identity(key), key);
    });
    const keys = [...found.values()];
    if (!(await confirmed(`${keys.length.toLocaleString('en')} keys below ${short(node.prefix)} will be deleted from ${database.value}.`, 'Delete them'))) return;
    let deleted = 0;
    let refused = '';
    for (let at = 0; at < keys.length && !refused; at += 1000) {
      for (const { result, error } of await each(keys.slice(at, at + 1000), (key) => ['UNLINK', key])) {
        if (error) refused = error;
        else deleted += result;
      }
    }
    notify(`${deleted.toLocaleString('en')} keys are deleted.`);
    if (refused) notify(refused, 'error');
    reload();
  } catch (error) {
    notify(error, 'error');
  }
}

function List({ tree, busy, selected, choose }) {
  const [by, setBy] = useState('bytes');
  // While keys are read, the first thousand are looked at once, not again with every page.
  const { value = [], loading, error } = useLoad((signal) => details(leaves(tree, 1000), { signal }), [tree, busy, !busy || tree.count >= 1000]);
  const rank = { bytes: (one) => -(one.bytes ?? 0), ttl: (one) => (one.ttl < 0 ? Infinity : one.ttl), key: null }[by];
  const rows = rank ? [...value].sort((one, other) => (rank(one) < rank(other) ? -1 : rank(one) > rank(other) ? 1 : 0)) : value;
  const head = (id, name) => html`<th aria-sort=${by === id ? 'ascending' : undefined}><button class="quiet small" onClick=${() => setBy(id)}>${name}</button></th>`;
  return html`${error && html`<p class="error">${error.message}</p>`}
    ${tree.count > 1000 && html`<p class="faint">The first 1,000 of them; a pattern narrows the choice.</p>`}
    <div class="scroll"><table aria-busy=${String(loading)}><thead><tr>${head('key', 'Key')}<th>Type</th>${head('ttl', 'Expires in')}${head('bytes', 'Size')}</tr></thead>
    <tbody>${rows.slice(0, 1000).map(
      (one) => html`<tr key=${identity(one.key)} aria-current=${identity(one.key) === selected ? 'true' : undefined}>
        <td><button class="leaf" onClick=${() => choose(one.key)}>${short(one.key)}</button></td><td>${one.type}</td><td>${duration(one.ttl)}</td><td>${size(one.bytes)}</td></tr>`,
    )}</tbody></table></div>`;
}

export function Data() {
  const { query } = location.value;
  const { match = '', type = '', separator = ':', form = 'tree' } = query;
  const [pattern, setPattern] = useState(match);
  const [opened, setOpened] = useState(new Set());
  const [dialog, setDialog] = useState(null);
  const { tree, busy, cursor, total, error, more, reload } = useKeys({ match, type, separator });
  const key = query.key === undefined ? undefined : fromAddress(query.key);
  const selected = key === undefined ? undefined : identity(key);
  const choose = (key) => setQuery({ key: toAddress(key) }, { replace: false });
  const toggle = (path) => {
    const next = new Set(opened);
    if (!next.delete(path)) next.add(path);
    setOpened(next);
  };
  const shared = { opened, toggle, selected, choose, removeBelow: (node) => removeBelow(node, reload) };
  return html`<h1>Data</h1>
    <div class=${key === undefined ? 'split' : 'split chosen'}>
      <section aria-label="Keys" class="keys">
        <form class="filter" onSubmit=${(event) => (event.preventDefault(), setQuery({ match: pattern }))}>
          <input aria-label="Pattern, such as user:*" placeholder="user:*" value=${pattern} onInput=${(event) => setPattern(event.target.value)} />
          <select aria-label="Type" value=${type} onChange=${(event) => setQuery({ type: event.target.value })}>
            ${TYPES.map((name) => html`<option value=${name}>${{ '': 'all types', 'ReJSON-RL': 'json' }[name] ?? name}</option>`)}
          </select>
          <input aria-label="Separator of names" class="tiny" maxlength="4" value=${separator} onChange=${(event) => setQuery({ separator: event.target.value || undefined })} />
          <button>Find</button>
        </form>
        <p class="row wrap"><${Tabs} label="Form" choices=${[['tree', 'Tree'], ['list', 'List']]} value=${form} onChange=${(id) => setQuery({ form: id })} />
          <button class="quiet" onClick=${reload}>Reload</button><button class="quiet" onClick=${() => setDialog('create')}>New key</button>
          <button class="quiet" onClick=${() => setDialog('move')}>Export, import</button></p>
        <p class="faint" role="status">${tree.count.toLocaleString('en')} keys found${total == null ? '' : ` of ${total.toLocaleString('en')} in ${database.value}`}${busy ? ', reading…' : ''}
          ${!busy && cursor !== '0' && html` <button class="quiet small" onClick=${more}>Read on</button>`}</p>
        ${error && html`<p class="error" role="alert">${error.message}</p>`}
        ${form === 'list' ? html`<${List} tree=${tree} busy=${busy} selected=${selected} choose=${choose} />` : html`<div class="tree scroll"><${Node} node=${tree} ...${shared} /></div>`}
        ${!busy && tree.count === 0 && !error && html`<p>There is no such key. <button class="quiet" onClick=${() => setDialog('create')}>Make one</button></p>`}
      </section>
      ${key !== undefined && html`<section aria-label="Value" class="value-pane"><${Key} key=${`${database.value} ${selected}`} name=${key} close=${() => setQuery({ key: undefined })} changed=${reload} /></section>`}
    </div>
    ${dialog === 'create' && html`<${Create} close=${() => setDialog(null)} made=${(key) => (setDialog(null), reload(), choose(key))} />`}
    ${dialog === 'move' && html`<${Move} match=${match} close=${() => (setDialog(null), reload())} />`}`;
}

// The keys of a database, and the value of one.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { call, database, each } from '../lib/store.js';
import { identity, size } from '../lib/bytes.js';
import { details, duration, insert, literal, root, walk } from '../lib/keys.js';
import { location, setQuery } from '../lib/router.js';
import { confirmed, notify, Tabs, useLoad } from '../lib/ui.js';
import { fromAddress, Key, toAddress } from './data/key.js';
import { Create } from './data/create.js';
import { Move } from './data/move.js';

/** Keys that are read before the walk pauses, and children that are shown at once. */
const PAUSE = 200_000;
const SHOWN = 300;

const TYPES = ['', 'string', 'hash', 'list', 'set', 'zset', 'stream', 'ReJSON-RL'];

/** Walks over the keys that match; the page is drawn again at most every 100 ms. */
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
        if (performance.now() - drawn > 100) draw((drawn = performance.now()));
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
  }, [match, type, separator, database.value, round]);
  return { ...(state.current ?? { tree: root(), busy: true }), more: () => run(state.current, state.current.abort.signal), reload: () => setRound((round) => round + 1) };
}

function ordered(node) {
  return [...node.children.values()].sort((one, other) => (one.children ? 0 : 1) - (other.children ? 0 : 1) || (one.name < other.name ? -1 : 1));
}

function Node({ node, opened, toggle, selected, choose, removeBelow }) {
  const [most, setMost] = useState(SHOWN);
  const isOpen = node.path === '' || opened.has(node.path);
  const children = isOpen ? ordered(node) : [];
  const rows = html`<ul role=${node.path === '' ? undefined : 'group'}>
    ${children.slice(0, most).map((child) =>
      child.children
        ? html`<${Node} key=${child.path} ...${{ node: child, opened, toggle, selected, choose, removeBelow }} />`
        : html`<li key=${identity(child.key)}><button class="leaf" aria-current=${identity(child.key) === selected ? 'true' : undefined} onClick=${() => choose(child.key)}>${child.name || '(empty)'}</button></li>`,
    )}
    ${children.length > most && html`<li><button class="quiet" onClick=${() => setMost(most + SHOWN)}>${children.length - most} more</button></li>`}
  </ul>`;
  if (node.path === '') return rows;
  return html`<li><div class="branch">
      <button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => toggle(node.path)}>${isOpen ? '▾' : '▸'} ${node.name || '(empty)'} <span class="faint">${node.count.toLocaleString('en')}</span></button>
      <button class="quiet small" aria-label=${`Delete all keys below ${node.path}`} onClick=${() => removeBelow(node)}>Delete</button>
    </div>${isOpen && rows}</li>`;
}

/** Deletes the keys below a node, after they were counted. */
async function removeBelow(node, reload) {
  const keys = [];
  try {
    await walk({ match: `${literal(node.path)}*` }, (page) => keys.push(...page));
    const unique = [...new Map(keys.map((key) => [identity(key), key])).values()];
    if (!(await confirmed(`${unique.length.toLocaleString('en')} keys below ${node.path} will be deleted from ${database.value}.`, 'Delete them'))) return;
    for (let at = 0; at < unique.length; at += 1000) await each(unique.slice(at, at + 1000), (key) => ['UNLINK', key]);
    notify(`${unique.length.toLocaleString('en')} keys are deleted.`);
    reload();
  } catch (error) {
    notify(error, 'error');
  }
}

/** Leaves of a tree, up to a number. */
function leaves(node, most, found = []) {
  for (const child of ordered(node)) {
    if (found.length >= most) break;
    if (child.children) leaves(child, most, found);
    else found.push(child.key);
  }
  return found;
}

function List({ tree, selected, choose }) {
  const [by, setBy] = useState('bytes');
  const keys = leaves(tree, 1000);
  const { value = [], loading, error } = useLoad((signal) => details(keys, { signal }), [tree, tree.count]);
  const rank = { bytes: (one) => -(one.bytes ?? 0), ttl: (one) => (one.ttl < 0 ? Infinity : one.ttl), key: null }[by];
  const rows = rank ? [...value].sort((one, other) => (rank(one) < rank(other) ? -1 : rank(one) > rank(other) ? 1 : 0)) : value;
  const head = (id, name) => html`<th aria-sort=${by === id ? 'ascending' : undefined}><button class="quiet small" onClick=${() => setBy(id)}>${name}</button></th>`;
  return html`${error && html`<p class="error">${error.message}</p>`}
    ${tree.count > 1000 && html`<p class="faint">The first 1,000 of them; a pattern narrows the choice.</p>`}
    <div class="scroll"><table aria-busy=${String(loading)}><thead><tr>${head('key', 'Key')}<th>Type</th>${head('ttl', 'Expires in')}${head('bytes', 'Size')}</tr></thead>
    <tbody>${rows.slice(0, 1000).map(
      (one) => html`<tr key=${identity(one.key)} aria-current=${identity(one.key) === selected ? 'true' : undefined}>
        <td><button class="leaf" onClick=${() => choose(one.key)}>${toAddress(one.key).slice(0, 200) || '(empty)'}</button></td><td>${one.type}</td><td>${duration(one.ttl)}</td><td>${size(one.bytes)}</td></tr>`,
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
        ${form === 'list' ? html`<${List} tree=${tree} selected=${selected} choose=${choose} />` : html`<div class="tree scroll"><${Node} node=${tree} ...${shared} /></div>`}
        ${!busy && tree.count === 0 && !error && html`<p>There is no such key. <button class="quiet" onClick=${() => setDialog('create')}>Make one</button></p>`}
      </section>
      ${key !== undefined && html`<section aria-label="Value" class="value-pane"><${Key} key=${`${database.value} ${selected}`} name=${key} close=${() => setQuery({ key: undefined })} changed=${reload} /></section>`}
    </div>
    ${dialog === 'create' && html`<${Create} close=${() => setDialog(null)} made=${(key) => (setDialog(null), reload(), choose(key))} />`}
    ${dialog === 'move' && html`<${Move} match=${match} close=${() => (setDialog(null), reload())} />`}`;
}

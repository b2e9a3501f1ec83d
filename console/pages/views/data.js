// The keys of a database, and the value of one.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { call, database, each, returns } from '../lib/store.js';
import { identity, short } from '../lib/bytes.js';
import { below, insert, isBelow, root, walk } from '../lib/keys.js';
import { location, setQuery } from '../lib/router.js';
import { confirmed, notify, Tabs } from '../lib/ui.js';
import { fromAddress, Key, toAddress } from './data/key.js';
import { Create } from './data/create.js';
import { List } from './data/list.js';
import { Move } from './data/move.js';
import { ORDERS } from './data/ranked.js';
import { Node } from './data/tree.js';

/** Keys that are read before the walk pauses. */
const PAUSE = 200_000;

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

export function Data() {
  const { query } = location.value;
  const { match = '', type = '', separator = ':', form = 'tree', sort } = query;
  const by = ORDERS.some(([id]) => id === sort) ? sort : form === 'list' ? 'bytes' : 'key';
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
  const shared = { opened, toggle, by, isReading: busy, selected, choose, removeBelow: (node) => removeBelow(node, reload) };
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
          <label class="inline">Sort by <select value=${by} onChange=${(event) => setQuery({ sort: event.target.value })}>${ORDERS.map(([id, name]) => html`<option value=${id}>${name}</option>`)}</select></label>
          <button class="quiet" onClick=${reload}>Reload</button><button class="quiet" onClick=${() => setDialog('create')}>New key</button>
          <button class="quiet" onClick=${() => setDialog('move')}>Export, import</button></p>
        <p class="faint" role="status">${tree.count.toLocaleString('en')} keys found${total == null ? '' : ` of ${total.toLocaleString('en')} in ${database.value}`}${busy ? ', reading…' : ''}
          ${!busy && cursor !== '0' && html` <button class="quiet small" onClick=${more}>Read on</button>`}</p>
        ${error && html`<p class="error" role="alert">${error.message}</p>`}
        ${form === 'list' ? html`<${List} tree=${tree} isReading=${busy} by=${by} selected=${selected} choose=${choose} />` : html`<div class="tree scroll"><${Node} node=${tree} ...${shared} /></div>`}
        ${!busy && tree.count === 0 && !error && html`<p>There is no such key. <button class="quiet" onClick=${() => setDialog('create')}>Make one</button></p>`}
      </section>
      ${key !== undefined && html`<section aria-label="Value" class="value-pane"><${Key} key=${`${database.value} ${selected}`} name=${key} close=${() => setQuery({ key: undefined })} changed=${reload} /></section>`}
    </div>
    ${dialog === 'create' && html`<${Create} close=${() => setDialog(null)} made=${(key) => (setDialog(null), reload(), choose(key))} />`}
    ${dialog === 'move' && html`<${Move} match=${match} close=${() => (setDialog(null), reload())} />`}`;
}

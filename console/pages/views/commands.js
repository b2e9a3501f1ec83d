// A command line with completion, history and replies as text or JSON.

import { html, signal, useEffect, useMemo, useRef, useState } from '../vendor/preact.js';
import { call, database, session } from '../lib/store.js';
import { display } from '../lib/bytes.js';
import { copyAs, words } from '../lib/commandline.js';
import { commandTable, isDangerous, isWrite, syntax } from '../lib/commandtable.js';
import { location } from '../lib/router.js';
import { confirmed, Copy, Tabs } from '../lib/ui.js';

const KEPT = 200;
const entries = signal([]);
const history = signal(read());
const readOnly = signal(false);

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem('restis.history') ?? '[]');
    return Array.isArray(kept) ? kept.filter((line) => typeof line === 'string') : [];
  } catch {
    return [];
  }
}

function remember(line) {
  // What names a password stays out of the browser's storage.
  const secret = /^\s*(auth|hello|acl|config|migrate)\b/i.test(line);
  history.value = [...history.value.filter((known) => known !== line), line].slice(-KEPT);
  try {
    if (!secret) localStorage.setItem('restis.history', JSON.stringify(history.value.filter((known) => !/^\s*(auth|hello|acl|config|migrate)\b/i.test(known))));
  } catch {
    // The history lasts until the page is left.
  }
}

/** A reply as redis-cli prints it. */
function printed(value, indent = '') {
  if (value === null || value === undefined) return '(nil)';
  if (typeof value === 'number') return `(integer) ${value}`;
  if (Array.isArray(value)) {
    if (value.length === 0) return '(empty array)';
    const width = String(value.length).length;
    return value
      .map((item, at) => `${at ? indent : ''}${String(at + 1).padStart(width)}) ${printed(item, `${indent}${' '.repeat(width + 2)}`)}`)
      .join('\n');
  }
  if (value instanceof Uint8Array || typeof value === 'string') return JSON.stringify(display(value)).replaceAll('\\\\x', '\\x');
  return JSON.stringify(value, null, 2);
}

const plain = (value) =>
  value instanceof Uint8Array ? display(value) : Array.isArray(value) ? value.map(plain) : value;

async function run(line) {
  remember(line);
  const started = performance.now();
  const entry = { line, id: `${Date.now()}-${entries.value.length}`, db: database.value };
  try {
    entry.args = words(line);
    await commandTable();
    if (readOnly.value && isWrite(entry.args)) throw new Error('Only reads are switched on; this command writes.');
    if (isDangerous(entry.args) && !(await confirmed(`${line.slice(0, 200)} may delete or stop much in ${database.value}.`, 'Run it'))) return;
    entry.reply = await call(entry.args);
  } catch (error) {
    entry.error = error.message;
  }
  entry.ms = performance.now() - started;
  entries.value = [entry, ...entries.value].slice(0, KEPT);
}

function CopyAs({ entry }) {
  const [kind, setKind] = useState('curl');
  const { restUrl, databases } = session.value;
  const token = databases.find((one) => one.name === entry.db)?.token ?? '';
  const text = copyAs(kind, entry.args, { url: restUrl, token });
  return html`<label class="inline">Copy as
    <select value=${kind} onChange=${(event) => setKind(event.target.value)}>
      ${['curl', 'typescript', 'rust', 'redis-cli'].map((name) => html`<option>${name}</option>`)}
    </select></label>
    ${text === null ? html`<span class="faint">bytes that are no text need redis-cli</span>` : html`<${Copy} text=${text} label=${`Copy as ${kind}`} />`}`;
}

function Entry({ entry }) {
  const [form, setForm] = useState('text');
  return html`<li class="entry">
    <header><code>${entry.line}</code><span class="faint">${entry.ms.toFixed(1)} ms</span></header>
    ${entry.error
      ? html`<pre class="error" role="alert">(error) ${entry.error}</pre>`
      : html`<pre tabindex="0">${form === 'text' ? printed(entry.reply) : JSON.stringify(plain(entry.reply), null, 2)}</pre>`}
    <footer>
      ${!entry.error && html`<${Tabs} label="Form of the reply" choices=${[['text', 'Text'], ['json', 'JSON']]} value=${form} onChange=${setForm} />`}
      ${entry.args && html`<${CopyAs} entry=${entry} />`}
    </footer>
  </li>`;
}

export function Commands() {
  const [line, setLine] = useState(location.value.query.command ?? '');
  const [at, setAt] = useState(-1);
  const [names, setNames] = useState([]);
  const [hint, setHint] = useState('');
  const input = useRef(null);
  useEffect(() => {
    commandTable().then((table) => setNames([...table.keys()]), () => setNames([]));
    input.current.focus();
  }, [database.value]);
  const start = line.trimStart();
  const name = start.split(/\s/, 1)[0].toUpperCase();
  const matches = useMemo(() => (name && !/\s/.test(start) ? names.filter((one) => one.startsWith(name)).slice(0, 8) : []), [name, start, names]);
  useEffect(() => {
    let current = true;
    setHint('');
    if (names.includes(name)) syntax(name).then((text) => current && setHint(text), () => {});
    return () => (current = false);
  }, [name, names]);
  const keys = (event) => {
    const lines = history.value;
    if (event.key === 'Tab' && matches.length > 0 && matches[0] !== name) {
      event.preventDefault();
      setLine(`${matches[0]} `);
    } else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      event.preventDefault();
      const next = Math.max(-1, Math.min(lines.length - 1, at + (event.key === 'ArrowUp' ? 1 : -1)));
      setAt(next);
      setLine(next < 0 ? '' : lines[lines.length - 1 - next]);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    if (!line.trim()) return;
    run(line.trim());
    setLine('');
    setAt(-1);
  };
  return html`<h1>Commands</h1>
    <form class="prompt" onSubmit=${submit}>
      <label for="line">Command for ${database.value}</label>
      <div class="row">
        <input id="line" ref=${input} value=${line} spellcheck=${false} autocomplete="off" autocapitalize="off" aria-describedby="syntax"
          onInput=${(event) => setLine(event.target.value)} onKeyDown=${keys} placeholder="SET greeting hello" />
        <button>Run</button>
      </div>
      <p id="syntax" class="faint">${hint || matches.join('  ') || 'Tab completes, the arrow keys go through the history.'}</p>
      <label class="inline"><input type="checkbox" checked=${readOnly.value} onChange=${(event) => (readOnly.value = event.target.checked)} /> Only reads</label>
    </form>
    <ol class="entries" aria-label="Replies, the newest first">${entries.value.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}</ol>`;
}

// A command line with completion, history and replies as text or JSON.

import { html, signal, useEffect, useMemo, useRef, useState } from '../vendor/preact.js';
import { call, database, session } from '../lib/store.js';
import { display, short } from '../lib/bytes.js';
import { write } from '../lib/json.js';
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

/** Letters of a reply that are shown at once. */
const SHOWN = 50_000;

/** A text or bytes in quotes, as the command line takes them. */
function quoted(value) {
  if (value instanceof Uint8Array) return `"${display(value).replaceAll('"', '\\"')}"`;
  const named = { '\n': '\\n', '\t': '\\t' };
  return `"${value
    .split('\\')
    .map((part) => display(part).replaceAll('"', '\\"').replace(/[\n\t]/g, (letter) => named[letter]))
    .join('\\\\')}"`;
}

/** A reply as redis-cli prints it, to its first letters. */
function printed(value, room = { left: SHOWN }, indent = '') {
  let text;
  if (value === null || value === undefined) text = '(nil)';
  else if (typeof value === 'number' || typeof value === 'bigint') text = `(integer) ${value}`;
  else if (Array.isArray(value)) {
    if (value.length === 0) return '(empty array)';
    const width = String(value.length).length;
    const lines = [];
    for (let at = 0; at < value.length && room.left > 0; at++) {
      room.left -= width + 2 + indent.length;
      lines.push(`${at ? indent : ''}${String(at + 1).padStart(width)}) ${printed(value[at], room, `${indent}${' '.repeat(width + 2)}`)}`);
    }
    if (lines.length < value.length) lines.push(`${indent}… ${(value.length - lines.length).toLocaleString('en')} more`);
    return lines.join('\n');
  } else if (value instanceof Uint8Array || typeof value === 'string') {
    const most = Math.max(100, room.left);
    text = quoted(value.slice(0, most)) + (value.length > most ? `… ${(value.length - most).toLocaleString('en')} more` : '');
  } else text = write(value, 2).slice(0, Math.max(100, room.left));
  room.left -= text.length;
  return text;
}

const plain = (value) =>
  value instanceof Uint8Array ? display(value) : Array.isArray(value) ? value.map(plain) : value;

/** What waits for its reply. */
const running = signal([]);

async function run(line) {
  remember(line);
  const started = performance.now();
  const entry = { line, id: ++number, db: database.value, abort: new AbortController() };
  try {
    entry.args = words(line);
    await commandTable();
    if (readOnly.value && isWrite(entry.args)) throw new Error('Only reads are switched on; this command writes.');
    if (isDangerous(entry.args) && !(await confirmed(`${short(line)} may delete or stop much in ${database.value}.`, 'Run it'))) return;
    running.value = [...running.value, entry];
    entry.reply = await call(entry.args, { db: entry.db, signal: entry.abort.signal });
  } catch (error) {
    entry.error = error.name === 'AbortError' ? 'It is no longer waited for.' : error.message;
  }
  running.value = running.value.filter((one) => one !== entry);
  entry.ms = performance.now() - started;
  entries.value = [entry, ...entries.value].slice(0, KEPT);
}

let number = 0;

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
  const text = useMemo(() => (entry.error ? '' : form === 'text' ? printed(entry.reply) : short(write(plain(entry.reply), 2), SHOWN)), [entry, form]);
  return html`<li class="entry">
    <header><code>${short(entry.line, 1000)}</code><span class="faint">${entry.ms.toFixed(1)} ms</span></header>
    ${entry.error
      ? html`<pre class="error" role="alert">(error) ${entry.error}</pre>`
      : html`<pre tabindex="0">${text}</pre>`}
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
    ${running.value.map((entry) => html`<p class="row wait" key=${entry.id}><code>${short(entry.line)}</code> waits for its reply. <button class="quiet small" onClick=${() => entry.abort.abort()}>Wait no longer</button></p>`)}
    <ol class="entries" aria-label="Replies, the newest first">${entries.value.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}</ol>`;
}

// A string as text, JSON or bytes; large ones by pages.

import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { hexdump, size, toBytes, toText } from '../../lib/bytes.js';
import { notify, Tabs, useLoad } from '../../lib/ui.js';
import { Conflict } from './conflict.js';

/** What is read at once, and what may be edited. */
const PAGE = 64 << 10;
const EDITABLE = 1 << 20;

// Writes only what was read: ARGV are the value that was read and the new one.
const REPLACE = `local now = redis.call('GET', KEYS[1])
if now ~= ARGV[1] then return {0, now} end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return {1}`;

async function read(key, from, signal) {
  const length = await call(['STRLEN', key], { signal });
  if (length <= EDITABLE) return { length, value: await call(['GET', key], { signal }) };
  // A page may begin or end within a letter: it is shown as bytes then.
  return { length, isPart: true, value: await call(['GETRANGE', key, from, from + PAGE - 1], { signal }) };
}

function pretty(value) {
  try {
    return JSON.stringify(JSON.parse(typeof value === 'string' ? value : ''), null, 2);
  } catch {
    return null;
  }
}

export function StringValue({ name, changed }) {
  const [from, setFrom] = useState(0);
  const [form, setForm] = useState('text');
  const [draft, setDraft] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const { value: loaded, error, reload } = useLoad((signal) => read(name, from, signal), [from]);
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (!loaded || loaded.value == null) return html`<p class="wait">Reading…</p>`;
  const { value, length, isPart } = loaded;
  const isText = typeof value === 'string';
  const isSketch = toText(toBytes(value).subarray(0, 4)) === 'HYLL';
  const json = isPart ? null : pretty(value);
  const shown = !isText || form === 'hex' ? 'hex' : form === 'json' && json !== null ? 'json' : 'text';
  const save = async (base) => {
    try {
      const [done, now] = typeof base === 'string' && typeof name === 'string' ? await call(['EVAL', REPLACE, 1, name, base, draft]) : [1, await call(['SET', name, draft])];
      if (!done) return setTheirs(now ?? '');
      setDraft(null);
      setTheirs(null);
      notify('The value is saved; its expiry stays.');
      reload();
      changed();
    } catch (error) {
      notify(error, 'error');
    }
  };
  const choices = [...(isText ? [['text', 'Text']] : []), ...(json !== null ? [['json', 'JSON']] : []), ['hex', 'Bytes']];
  return html`<p class="row wrap"><${Tabs} label="Form of the value" choices=${choices} value=${shown} onChange=${setForm} />
      <span class="faint">${size(length)}</span>
      ${isSketch && html`<${Estimate} name=${name} />`}</p>
    ${isPart && html`<p class="row wrap"><button class="quiet small" disabled=${from === 0} onClick=${() => setFrom(Math.max(0, from - PAGE))}>Before</button>
      <span class="faint">bytes ${from.toLocaleString('en')} to ${Math.min(length, from + PAGE).toLocaleString('en')}</span>
      <button class="quiet small" disabled=${from + PAGE >= length} onClick=${() => setFrom(from + PAGE)}>After</button></p>`}
    ${draft !== null
      ? html`<textarea aria-label="New value" value=${draft} onInput=${(event) => setDraft(event.target.value)}></textarea>
        <p class="row"><button onClick=${() => save(value)}>Save</button><button class="quiet" onClick=${() => setDraft(null)}>Cancel</button></p>`
      : html`<pre tabindex="0">${shown === 'hex' ? hexdump(value) : shown === 'json' ? json.slice(0, 2 << 20) : value}</pre>
        ${isText && !isPart && html`<p><button onClick=${() => setDraft(shown === 'json' ? json : value)}>Edit</button></p>`}`}
    ${theirs !== null && html`<${Conflict} mine=${draft} theirs=${theirs} close=${() => setTheirs(null)} overwrite=${() => save(theirs)} discard=${() => (setDraft(null), setTheirs(null), reload())} />`}`;
}

function Estimate({ name }) {
  const { value } = useLoad((signal) => call(['PFCOUNT', name], { signal }), []);
  return html`<span>HyperLogLog of about ${value ?? '…'} members</span>`;
}

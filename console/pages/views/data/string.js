// A string as text, JSON or bytes; large ones by pages.

import { html, useMemo, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { display, hexdump, size, toBytes, toText } from '../../lib/bytes.js';
import { fromDraft, toDraft } from '../../lib/edit.js';
import { pretty } from '../../lib/json.js';
import { notify, Tabs, useLoad } from '../../lib/ui.js';
import { Conflict } from './conflict.js';

/** What is read at once, and what may be edited. */
const PAGE = 64 << 10;
const EDITABLE = 1 << 20;

// Writes only what was read: ARGV are the new value and the one that was read, which is left out where there was none.
const REPLACE = `local now = redis.call('GET', KEYS[1])
if now ~= (ARGV[2] or false) then return {0, now} end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
return {1}`;

async function read(key, from, signal) {
  const length = await call(['STRLEN', key], { signal });
  if (length <= EDITABLE) return { length, value: await call(['GET', key], { signal }) };
  // A page may begin or end within a letter: it is shown as bytes then.
  return { length, isPart: true, value: await call(['GETRANGE', key, from, from + PAGE - 1], { signal }) };
}

export function StringValue({ name, changed }) {
  const [from, setFrom] = useState(0);
  const [form, setForm] = useState('text');
  const [draft, setDraft] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const { value: loaded, error, reload } = useLoad((signal) => read(name, from, signal), [from]);
  const json = useMemo(() => (!loaded || loaded.isPart || typeof loaded.value !== 'string' || !/^\s*[[{"]/.test(loaded.value) ? null : pretty(loaded.value)), [loaded]);
  if (error && draft === null) return html`<p class="error" role="alert">${error.message}</p>`;
  if (!loaded) return html`<p class="wait">Reading…</p>`;
  if (loaded.value === null) return html`<p>There is no such value now.</p>`;
  const { value, length, isPart } = loaded;
  const isText = typeof value === 'string';
  const isSketch = toText(toBytes(value).subarray(0, 4)) === 'HYLL';
  const shown = !isText || form === 'hex' ? 'hex' : form === 'json' && json !== null ? 'json' : 'text';
  const save = async (base) => {
    try {
      const [done, now] = await call(['EVAL', REPLACE, 1, name, fromDraft(draft), ...(base === null ? [] : [base])]);
      if (!done) return setTheirs({ now: now ?? null });
      setDraft(null);
      setTheirs(null);
      notify('The value is saved; its expiry stays.');
      reload();
      changed();
    } catch (error) {
      notify(error, 'error');
    }
  };
  const next = isText && !isPart ? toDraft(value, shown === 'json' ? json : value) : null;
  const choices = [...(isText ? [['text', 'Text']] : []), ...(json !== null ? [['json', 'JSON']] : []), ['hex', 'Bytes']];
  return html`<p class="row wrap"><${Tabs} label="Form of the value" choices=${choices} value=${shown} onChange=${setForm} />
      <span class="faint">${size(length)}</span>
      ${isSketch && html`<${Estimate} name=${name} />`}</p>
    ${isPart && html`<p class="row wrap"><button class="quiet small" disabled=${from === 0} onClick=${() => setFrom(Math.max(0, from - PAGE))}>Before</button>
      <span class="faint">bytes ${from.toLocaleString('en')} to ${Math.min(length, from + PAGE).toLocaleString('en')}</span>
      <button class="quiet small" disabled=${from + PAGE >= length} onClick=${() => setFrom(from + PAGE)}>After</button></p>`}
    ${draft !== null
      ? html`<textarea aria-label="New value" value=${draft.text} onInput=${(event) => setDraft({ ...draft, text: event.target.value })}></textarea>
        <p class="row"><button onClick=${() => save(draft.base)}>Save</button><button class="quiet" onClick=${() => setDraft(null)}>Cancel</button></p>`
      : html`<pre tabindex="0">${shown === 'hex' ? hexdump(value) : shown === 'json' ? display(json) : display(value)}</pre>
        ${isText && !isPart && (next ? html`<p><button onClick=${() => setDraft(next)}>Edit</button></p>` : html`<p class="faint">Its lines end in different ways, which a text field would change; the command line writes it.</p>`)}`}
    ${theirs !== null && html`<${Conflict} mine=${fromDraft(draft)} theirs=${theirs.now} close=${() => setTheirs(null)} overwrite=${() => save(theirs.now)} discard=${() => (setDraft(null), setTheirs(null), reload())} />`}`;
}

function Estimate({ name }) {
  const { value } = useLoad((signal) => call(['PFCOUNT', name], { signal }), []);
  return html`<span>HyperLogLog of about ${value ?? '…'} members</span>`;
}

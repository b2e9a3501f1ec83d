// A JSON document as a tree that opens by branches, or as text.

import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { size } from '../../lib/bytes.js';
import { notify, Tabs, useLoad } from '../../lib/ui.js';
import { Conflict } from './conflict.js';

const SHOWN = 200;
/** Letters that may be edited as one text. */
const EDITABLE = 256 << 10;

function Branch({ name, value, depth }) {
  const [isOpen, setOpen] = useState(depth < 1);
  const [most, setMost] = useState(SHOWN);
  if (value === null || typeof value !== 'object') {
    return html`<li><span class="name">${name}</span> <code class="value">${JSON.stringify(value).slice(0, 5000)}</code></li>`;
  }
  const keys = Object.keys(value);
  const kind = Array.isArray(value) ? `[${keys.length}]` : `{${keys.length}}`;
  return html`<li><button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${isOpen ? '▾' : '▸'} ${name} <span class="faint">${kind}</span></button>
    ${isOpen && html`<ul>${keys.slice(0, most).map((key) => html`<${Branch} key=${key} name=${key} value=${value[key]} depth=${depth + 1} />`)}
      ${keys.length > most && html`<li><button class="quiet small" onClick=${() => setMost(most + SHOWN)}>${keys.length - most} more</button></li>`}</ul>`}</li>`;
}

export function Json({ name, changed }) {
  const [form, setForm] = useState('tree');
  const [draft, setDraft] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const { value: text, error, reload } = useLoad((signal) => call(['JSON.GET', name], { signal }), []);
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (text == null) return html`<p class="wait">Reading…</p>`;
  const document = JSON.parse(text);
  const isLong = text.length > EDITABLE;
  const save = async (base) => {
    try {
      JSON.parse(draft);
    } catch (error) {
      return notify(`This is no JSON: ${error.message}`, 'error');
    }
    try {
      const now = await call(['JSON.GET', name]);
      if (now !== base) return setTheirs(now ?? '');
      await call(['JSON.SET', name, '$', draft]);
      setDraft(null);
      setTheirs(null);
      notify('The document is saved.');
      reload();
      changed();
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<p class="row wrap"><${Tabs} label="Form of the document" choices=${[['tree', 'Tree'], ['text', 'Text']]} value=${form} onChange=${setForm} /><span class="faint">${size(text.length)} as text</span></p>
    ${draft !== null
      ? html`<textarea aria-label="New document" value=${draft} onInput=${(event) => setDraft(event.target.value)}></textarea>
        <p class="row"><button onClick=${() => save(text)}>Save</button><button class="quiet" onClick=${() => setDraft(null)}>Cancel</button></p>`
      : form === 'tree'
        ? html`<ul class="tree json scroll"><${Branch} name="$" value=${document} depth=${0} /></ul>`
        : html`<pre tabindex="0">${isLong ? `${text.slice(0, EDITABLE)}…` : JSON.stringify(document, null, 2)}</pre>`}
    ${draft === null && (isLong ? html`<p class="faint">Too long to edit here; JSON.SET with a path changes a part.</p>` : html`<p><button onClick=${() => setDraft(JSON.stringify(document, null, 2))}>Edit</button></p>`)}
    ${theirs !== null && html`<${Conflict} mine=${draft} theirs=${theirs} close=${() => setTheirs(null)} overwrite=${() => save(theirs)} discard=${() => (setDraft(null), setTheirs(null), reload())} />`}`;
}

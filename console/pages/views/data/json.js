// A JSON document as a tree that opens by branches, or as text.

import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { display, short, size } from '../../lib/bytes.js';
import { pretty } from '../../lib/json.js';
import { notify, Tabs, useLoad } from '../../lib/ui.js';
import { Conflict } from './conflict.js';
import { JsonTree } from './json_tree.js';

/** Letters that may be edited as one text. */
const EDITABLE = 256 << 10;

export function Json({ name, changed }) {
  const [form, setForm] = useState('tree');
  const [draft, setDraft] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const { value: text, error, reload } = useLoad((signal) => call(['JSON.GET', name], { signal }), []);
  if (error && draft === null) return html`<p class="error" role="alert">${error.message}</p>`;
  if (text === undefined) return html`<p class="wait">Reading…</p>`;
  if (text === null && draft === null) return html`<p>There is no such document now.</p>`;
  const isLong = (text ?? '').length > EDITABLE;
  const save = async (base) => {
    try {
      JSON.parse(draft.text);
    } catch (error) {
      return notify(`This is no JSON: ${error.message}`, 'error');
    }
    try {
      const now = await call(['JSON.GET', name]);
      if (now !== base) return setTheirs({ now });
      await call(['JSON.SET', name, '$', draft.text]);
      setDraft(null);
      setTheirs(null);
      notify('The document is saved.');
      reload();
      changed();
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<p class="row wrap"><${Tabs} label="Form of the document" choices=${[['tree', 'Tree'], ['text', 'Text']]} value=${form} onChange=${setForm} /><span class="faint">${size((text ?? '').length)} as text</span></p>
    ${draft !== null
      ? html`<textarea aria-label="New document" value=${draft.text} onInput=${(event) => setDraft({ ...draft, text: event.target.value })}></textarea>
        <p class="row"><button onClick=${() => save(draft.base)}>Save</button><button class="quiet" onClick=${() => setDraft(null)}>Cancel</button></p>`
      : form === 'tree'
        ? html`<${JsonTree} text=${text} />`
        : html`<pre tabindex="0">${isLong ? short(text, EDITABLE) : display(pretty(text))}</pre>`}
    ${draft === null && (isLong ? html`<p class="faint">Too long to edit here; JSON.SET with a path changes a part.</p>` : html`<p><button onClick=${() => setDraft({ base: text, text: pretty(text) })}>Edit</button></p>`)}
    ${theirs !== null && html`<${Conflict} mine=${draft.text} theirs=${theirs.now} close=${() => setTheirs(null)} overwrite=${() => save(theirs.now)} discard=${() => (setDraft(null), setTheirs(null), reload())} />`}`;
}

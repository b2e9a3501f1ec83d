// A table of parts of a value that is read by pages, with a form that adds one.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { display, identity, short } from '../../lib/bytes.js';
import { fromDraft, toDraft } from '../../lib/edit.js';
import { confirmed, notify } from '../../lib/ui.js';
import { Conflict } from './conflict.js';

const LONG = 2000;

/** A part as it is shown: long ones to their beginning. */
export function Shown({ value }) {
  const text = display(value);
  const [all, setAll] = useState(false);
  if (text.length <= LONG || all) return html`<code class="value">${text}</code>`;
  return html`<code class="value">${text.slice(0, LONG)}…</code> <button class="quiet small" onClick=${() => setAll(true)}>All ${text.length.toLocaleString('en')} letters</button>`;
}

function Cell({ row, save }) {
  const [draft, setDraft] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const submit = async (base) => {
    try {
      const now = await save(row, fromDraft(draft), base);
      if (now !== undefined) return setTheirs({ now });
      setDraft(null);
      setTheirs(null);
    } catch (error) {
      notify(error, 'error');
    }
  };
  if (draft === null) {
    const next = save && typeof row.value === 'string' ? toDraft(row.value) : null;
    return html`<${Shown} value=${row.value} />${next && html` <button class="quiet small" aria-label=${`Edit ${short(row.id, 60)}`} onClick=${() => setDraft(next)}>Edit</button>`}`;
  }
  return html`<form onSubmit=${(event) => (event.preventDefault(), submit(draft.base))}><textarea aria-label="New value" class="short" value=${draft.text} onInput=${(event) => setDraft({ ...draft, text: event.target.value })}></textarea>
    <span class="row"><button class="small">Save</button><button type="button" class="quiet small" onClick=${() => setDraft(null)}>Cancel</button></span></form>
    ${theirs !== null && html`<${Conflict} mine=${fromDraft(draft)} theirs=${theirs.now} close=${() => setTheirs(null)} overwrite=${() => submit(theirs.now)} discard=${() => (setDraft(null), setTheirs(null))} />`}`;
}

function Add({ fields, add }) {
  const [values, setValues] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    try {
      await add(values);
      setValues({});
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<form class="row wrap" onSubmit=${submit}>
    ${fields.map(([id, label]) => html`<input aria-label=${label} placeholder=${label} value=${values[id] ?? ''} onInput=${(event) => setValues({ ...values, [id]: event.target.value })} />`)}
    <button>Add</button></form>`;
}

/**
 * `page(cursor, signal)` gives `{ rows: [{ id, name, value, extra }], next }`; `next` is null at the end.
 * `save(row, text, base)` gives nothing, or what is stored where that is not `base`.
 */
export function Rows({ heads, page, save, remove, fields, add, changed }) {
  const [state, setState] = useState({ rows: [], next: undefined });
  const [round, setRound] = useState(0);
  const abort = useRef(null);
  const load = async (before, cursor) => {
    const { signal } = abort.current;
    setState({ ...before, loading: true });
    try {
      const { rows, next } = await page(cursor, signal);
      // A scan may give a part twice.
      const all = new Map([...before.rows, ...rows].map((row) => [identity(row.id), row]));
      if (!signal.aborted) setState({ rows: [...all.values()], next });
    } catch (error) {
      if (!signal.aborted) setState({ ...before, error });
    }
  };
  useEffect(() => {
    abort.current = new AbortController();
    load({ rows: [] }, undefined);
    return () => abort.current.abort();
  }, [round]);
  const refresh = () => (setRound((round) => round + 1), changed());
  const act = (action) => async (...args) => {
    const now = await action(...args);
    if (now === undefined) refresh();
    return now;
  };
  const gone = async (row) => {
    if (!(await confirmed(`${short(row.name ?? row.id)} will be removed.`, 'Remove it'))) return;
    try {
      await remove(row);
      refresh();
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`${add && html`<${Add} fields=${fields} add=${act(add)} />`}
    ${state.error && html`<p class="error" role="alert">${state.error.message}</p>`}
    <div class="scroll"><table><thead><tr>${heads.map((head) => html`<th>${head}</th>`)}<th><span class="hidden">Actions</span></th></tr></thead>
    <tbody>${state.rows.map((row) => html`<tr key=${identity(row.id)}>
      ${row.name !== undefined && html`<td><${Shown} value=${row.name} /></td>`}
      <td><${Cell} row=${row} save=${save && act(save)} /></td>
      ${row.extra !== undefined && html`<td>${row.extra}</td>`}
      <td class="actions">${remove && html`<button class="quiet small" aria-label=${`Remove ${short(row.name ?? row.id, 60)}`} onClick=${() => gone(row)}>Remove</button>`}</td></tr>`)}
    </tbody></table></div>
    <p class="faint" role="status">${state.rows.length.toLocaleString('en')} shown${state.loading ? ', reading…' : ''}
      ${!state.loading && state.next != null && html` <button class="quiet small" onClick=${() => load(state, state.next)}>More</button>`}</p>`;
}

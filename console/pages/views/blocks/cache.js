// What the cache does, one entry, and invalidation.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { segment } from '../../lib/store.js';
import { short } from '../../lib/bytes.js';
import { write } from '../../lib/json.js';
import { location, setQuery } from '../../lib/router.js';
import { confirmed, notify, useLoad } from '../../lib/ui.js';

const rate = (value) => (value == null ? 'unknown' : `${(100 * value).toFixed(1)} %`);

export function Cache() {
  const { organisation = '', entry = '' } = location.value.query;
  const [form, setForm] = useState({ organisation, entry, tags: '' });
  const { value: figures, reload } = useLoad(() => api('GET', 'cache/metrics'), []);
  const { value: found, error } = useLoad(async () => (entry ? api('GET', `cache/entries/${segment(entry)}`, { query: { organisation } }) : null), [entry, organisation]);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const invalidate = async (what) => {
    if (!what.keys && !what.tags && !(await confirmed(`Every entry of ${form.organisation || 'the common cache'} will be invalid.`, 'Invalidate'))) return;
    try {
      await api('POST', 'cache/invalidate', { body: { ...(form.organisation && { organisation: form.organisation }), ...what } });
      notify('Invalidated.');
      reload();
    } catch (error) {
      notify(error, 'error');
    }
  };
  const list = (text) => text.split(/[\s,]+/).filter(Boolean);
  return html`<p role="status">Hits ${rate(figures?.hit_rate)}, stale ${rate(figures?.stale_rate)} of this instance.</p>
    <form class="fields" onSubmit=${(event) => (event.preventDefault(), setQuery({ organisation: form.organisation, entry: form.entry }))}>
      <label>Organisation<input value=${form.organisation} onInput=${set('organisation')} /></label>
      <label>Key<input value=${form.entry} onInput=${set('entry')} /></label>
      <label>Tags, by commas<input value=${form.tags} onInput=${set('tags')} /></label>
      <button>Show the entry</button></form>
    <p class="row wrap"><button class="quiet" disabled=${!form.entry} onClick=${() => invalidate({ keys: [form.entry] })}>Invalidate the key</button>
      <button class="quiet" disabled=${!form.tags} onClick=${() => invalidate({ tags: list(form.tags) })}>Invalidate the tags</button>
      <button class="danger" onClick=${() => invalidate({})}>Invalidate everything</button></p>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    ${found != null && html`<pre tabindex="0">${short(write(found, 2), 100_000)}</pre>`}`;
}

// The sessions of a user: devices, when the user last proved who they are, and ending one or all.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { duration } from '../../lib/keys.js';
import { segment } from '../../lib/store.js';
import { location, setQuery } from '../../lib/router.js';
import { confirmed, notify, useLoad } from '../../lib/ui.js';

const when = (ms) => (ms ? new Date(ms).toISOString().replace('T', ' ').slice(0, 19) : '–');
const ago = (ms) => (ms ? `${duration(Math.max(0, Date.now() - ms))} ago` : 'never');

function Row({ one, end }) {
  const name = short(one.device ?? one.id, 60);
  return html`<tr><td>${short(one.device ?? '–')}<div class="faint"><code>${one.id}</code></div></td><td>${short(one.network ?? '–')}</td><td>${short(one.organisation ?? '–')}</td>
    <td title=${when(one.authenticated_ms)}>${ago(one.authenticated_ms)}<div class="faint">${(one.methods ?? []).map((method) => short(method, 40)).join(', ')}</div></td>
    <td>${when(one.created_ms)}</td><td title=${when(one.used_ms)}>${ago(one.used_ms)}</td><td>${when(one.expires_ms)}</td>
    <td class="actions"><button class="quiet small" aria-label=${`End the session of ${name}`} onClick=${end}>End</button></td></tr>`;
}

export function Sessions() {
  const { user = '' } = location.value.query;
  const [draft, setDraft] = useState(user);
  const path = () => `users/${segment(user)}/sessions`;
  const { value: active } = useLoad(() => api('GET', 'sessions/active'), []);
  const { value = [], error, reload } = useLoad(async () => (user ? api('GET', path()) : []), [user]);
  const act = (action, question) => async () => {
    if (question && !(await confirmed(question, 'End'))) return;
    try {
      await action();
      reload();
    } catch (error) {
      notify(error, 'error');
    }
  };
  const end = (one) => act(() => api('DELETE', `${path()}/${segment(one.id)}`, { query: { organisation: one.organisation } }), `The session of ${short(one.device ?? one.id, 60)} will end.`);
  return html`<p class="faint">${active ? `${active.exact ? '' : 'about '}${active.active} live sessions` : ''}</p>
    <form class="row" onSubmit=${(event) => (event.preventDefault(), setQuery({ user: draft }))}>
      <input aria-label="User" placeholder="user" value=${draft} onInput=${(event) => setDraft(event.target.value)} /><button>Show</button></form>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    ${user && html`<p class="row wrap"><button class="quiet" onClick=${act(() => api('POST', 'sessions', { body: { user } }))}>Sign ${short(user, 40)} in</button>
      ${value.length > 0 && html`<button class="danger" onClick=${act(() => api('DELETE', path()), `Every session of ${short(user)} will end.`)}>End all</button>`}</p>
      <div class="scroll" tabindex="0"><table><thead><tr><th>Device</th><th>Network</th><th>Organisation</th><th>Signed in or stepped up</th><th>Began</th><th>Used</th><th>Ends</th><th><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${value.map((one) => html`<${Row} key=${one.id} one=${one} end=${end(one)} />`)}</tbody></table></div>
      ${value.length === 0 && !error && html`<p>This user has no session.</p>`}`}`;
}

// The sessions of a user.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { segment } from '../../lib/store.js';
import { location, setQuery } from '../../lib/router.js';
import { confirmed, notify, useLoad } from '../../lib/ui.js';

const when = (ms) => (ms ? new Date(ms).toISOString().replace('T', ' ').slice(0, 19) : '–');

export function Sessions() {
  const { user = '' } = location.value.query;
  const [draft, setDraft] = useState(user);
  const path = () => `users/${segment(user)}/sessions`;
  const { value: active } = useLoad(() => api('GET', 'sessions/active'), []);
  const { value = [], error, reload } = useLoad(async () => (user ? api('GET', path()) : []), [user]);
  const act = (action, text) => async () => {
    if (text && !(await confirmed(text, 'End them'))) return;
    try {
      await action();
      reload();
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<p class="faint">${active ? `${active.exact ? '' : 'about '}${active.active} live sessions` : ''}</p>
    <form class="row" onSubmit=${(event) => (event.preventDefault(), setQuery({ user: draft }))}>
      <input aria-label="User" placeholder="user" value=${draft} onInput=${(event) => setDraft(event.target.value)} /><button>Show</button></form>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    ${user && html`<p class="row wrap"><button class="quiet" onClick=${act(() => api('POST', 'sessions', { body: { user } }))}>Sign ${short(user, 40)} in</button>
      ${value.length > 0 && html`<button class="danger" onClick=${act(() => api('DELETE', path()), `Every session of ${short(user)} will end.`)}>End all</button>`}</p>
      <table><thead><tr><th>Session</th><th>Device</th><th>Network</th><th>Organisation</th><th>Began</th><th>Used</th><th>Ends</th></tr></thead>
      <tbody>${value.map((one) => html`<tr key=${one.id}><td><code>${one.id}</code></td><td>${short(one.device ?? '–')}</td><td>${short(one.network ?? '–')}</td><td>${short(one.organisation ?? '–')}</td><td>${when(one.created_ms)}</td><td>${when(one.used_ms)}</td><td>${when(one.expires_ms)}</td></tr>`)}</tbody></table>
      ${value.length === 0 && !error && html`<p>This user has no session.</p>`}`}`;
}

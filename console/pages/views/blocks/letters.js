// Events that could not be delivered, why, and giving them back or deleting them.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { write } from '../../lib/json.js';
import { confirmed, notify, useLoad } from '../../lib/ui.js';

/** Letters that are read and changed at once. */
const PAGE = 100;

function Letter({ one, chosen, toggle, act }) {
  const [isOpen, setOpen] = useState(false);
  const name = short(one.event?.type ?? one.id, 60);
  return html`<tr><td><input type="checkbox" aria-label=${`Choose ${one.id}`} checked=${chosen} onChange=${toggle} /></td>
      <td><button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${isOpen ? '▾' : '▸'} ${name}</button></td><td>${short(one.subscriber)}</td><td>${short(one.reason)}</td><td>${one.attempts}</td>
      <td class="actions">${!one.unreadable && html`<button class="quiet small" aria-label=${`Give ${one.id} back`} onClick=${() => act('redrive', [one.id])}>Give back</button>`} <button class="quiet small" aria-label=${`Delete ${one.id}`} onClick=${() => act('purge', [one.id])}>Delete</button></td></tr>
    ${isOpen && html`<tr><td></td><td colspan="5"><p class="faint"><code>${one.id}</code> at <code>${short(one.cursor)}</code></p>
      ${one.failures.map((failure) => html`<div class="faint">${new Date(failure.at_ms).toISOString().replace('T', ' ').slice(0, 19)} ${short(failure.error, 500)}</div>`)}
      <pre tabindex="0">${one.event ? short(write(one.event, 2), 20_000) : 'What is stored is no event.'}</pre></td></tr>`}`;
}

export function Letters() {
  const [reason, setReason] = useState('');
  const [chosen, setChosen] = useState(new Set());
  const [after, setAfter] = useState('');
  const { value, error, reload } = useLoad(() => api('GET', 'events/dlq', { query: { limit: PAGE, after } }), [after]);
  const { letters = [], total = 0 } = value ?? {};
  const reasons = [...new Set(letters.map((one) => one.reason))];
  const shown = letters.filter((one) => reason === '' || one.reason === reason);
  const ids = shown.filter((one) => chosen.has(one.id)).map((one) => one.id);
  const act = async (path, which) => {
    if (path === 'purge' && !(await confirmed(`${which.length.toLocaleString('en')} dead letters will be deleted for good.`, 'Delete'))) return;
    try {
      const { count } = await api('POST', `events/dlq/${path}`, { body: { ids: which } });
      notify(path === 'redrive' ? `${count} went back to their subscribers.` : `${count} are deleted.`);
      setChosen(new Set());
      reload();
    } catch (error) {
      notify(error, 'error');
    }
  };
  const toggle = (id) => setChosen((before) => {
    const next = new Set(before);
    if (!next.delete(id)) next.add(id);
    return next;
  });
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (total === 0) return html`<p class="faint">No event is left undelivered.</p>`;
  return html`<p class="row wrap"><span role="status">${total.toLocaleString('en')} in all, ${shown.length.toLocaleString('en')} shown</span>
      <label class="inline">Reason <select value=${reason} onChange=${(event) => setReason(event.target.value)}>${['', ...reasons].map((one) => html`<option value=${one}>${one === '' ? 'any' : short(one, 60)}</option>`)}</select></label>
      <button class="quiet" onClick=${() => setChosen(new Set(shown.map(({ id }) => id)))}>Choose all shown</button>
      <button disabled=${ids.length === 0} onClick=${() => act('redrive', ids)}>Give ${ids.length || ''} back</button>
      <button class="danger" disabled=${ids.length === 0} onClick=${() => act('purge', ids)}>Delete ${ids.length || ''}</button></p>
    <div class="scroll" tabindex="0"><table class="live"><thead><tr><th><span class="hidden">Chosen</span></th><th>Event</th><th>Subscriber</th><th>Reason</th><th>Attempts</th><th><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${shown.map((one) => html`<${Letter} key=${one.id} one=${one} chosen=${chosen.has(one.id)} toggle=${() => toggle(one.id)} act=${act} />`)}</tbody></table></div>
    <p class="row">${after && html`<button class="quiet small" onClick=${() => setAfter('')}>From the oldest</button>`}${letters.length === PAGE && html`<button class="quiet small" onClick=${() => setAfter(letters.at(-1).id)}>Next ones</button>`}</p>`;
}

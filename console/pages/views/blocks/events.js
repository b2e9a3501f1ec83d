// The history of an organisation, sending events again, and what could not be delivered.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { exact, write } from '../../lib/json.js';
import { location, setQuery } from '../../lib/router.js';
import { confirmed, notify, useLoad } from '../../lib/ui.js';

/** The last payload of each type, so that it need not be typed again. */
const payloads = new Map();
const PAGE = 50;

function Publish({ initial, organisation, sent }) {
  const [type, setType] = useState(initial.type);
  const [text, setText] = useState(initial.text);
  const change = (name) => {
    setType(name);
    if (payloads.has(name)) setText(payloads.get(name));
  };
  const submit = async (event) => {
    event.preventDefault();
    try {
      const data = exact(text);
      const { id } = await api('POST', 'events/publish', { query: { organisation }, body: { type, data } });
      payloads.set(type, text);
      notify(`Published as ${id}.`);
      sent();
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<form class="prompt" onSubmit=${submit}><label for="type">Type</label><input id="type" value=${type} onInput=${(event) => change(event.target.value)} />
    <label for="payload">Data</label><textarea id="payload" class="short" value=${text} onInput=${(event) => setText(event.target.value)}></textarea><p><button>Publish</button></p></form>`;
}

function Letters() {
  const { value = { letters: [], total: 0 }, error, reload } = useLoad(() => api('GET', 'events/dlq', { query: { limit: 50 } }), []);
  const act = async (path, ids, text) => {
    if (text && !(await confirmed(text, 'Delete'))) return;
    try {
      await api('POST', `events/dlq/${path}`, { body: { ids } });
      reload();
    } catch (error) {
      notify(error, 'error');
    }
  };
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (value.total === 0) return html`<p class="faint">No event is left undelivered.</p>`;
  return html`<p><button onClick=${() => act('redrive', value.letters.map(({ id }) => id))}>Give all shown back</button></p>
    <table><thead><tr><th>Letter</th><th>Subscriber</th><th>Reason</th><th>Attempts</th><th>Event</th><th><span class="hidden">Actions</span></th></tr></thead><tbody>${value.letters.map((one) => html`<tr key=${one.id}>
      <td><code>${one.id}</code></td><td>${one.subscriber ?? '–'}</td><td>${short(one.reason ?? '–')}${(one.failures ?? []).slice(-3).map((failure) => html`<div class="faint">${short(typeof failure === 'string' ? failure : write(failure))}</div>`)}</td><td>${one.attempts ?? '–'}</td><td>${short(one.event?.type ?? '–')}</td>
      <td class="actions"><button class="quiet small" onClick=${() => act('redrive', [one.id])}>Give back</button> <button class="quiet small" onClick=${() => act('purge', [one.id], 'The letter will be deleted for good.')}>Delete</button></td></tr>`)}</tbody></table>`;
}

export function Events() {
  const { organisation = '' } = location.value.query;
  const [draft, setDraft] = useState(organisation);
  const [again, setAgain] = useState({ type: 'booking.created', text: '{"room": 1}', id: '' });
  const { value, error, reload } = useLoad(async () => {
    // The newest page: what came before the last hour is read on demand.
    const query = { organisation, limit: PAGE };
    return api('GET', 'events/history', { query: { ...query, since: new Date(Date.now() - 36e5).toISOString() } }).catch(() => api('GET', 'events/history', { query }));
  }, [organisation]);
  const events = (value?.events ?? []).map((one) => ({ ...one.event, at: one.received_ms }));
  return html`<form class="row" onSubmit=${(event) => (event.preventDefault(), setQuery({ organisation: draft }))}>
      <input aria-label="Organisation; empty: the common history" placeholder="organisation; empty: the common history" value=${draft} onInput=${(event) => setDraft(event.target.value)} /><button>Show</button><button type="button" class="quiet" onClick=${reload}>Reload</button></form>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    <h2>Publish</h2><${Publish} key=${again.id} initial=${again} organisation=${organisation} sent=${reload} />
    <h2>History</h2>
    <table class="live"><thead><tr><th>Time</th><th>Type</th><th>Data</th><th><span class="hidden">Actions</span></th></tr></thead>
    <tbody>${[...events].reverse().map((one) => html`<tr key=${one.id}><td>${new Date(one.at).toISOString().slice(11, 23)}</td><td>${short(one.type)}</td><td><code class="value">${short(write(one.data ?? null), 2000)}</code></td>
      <td class="actions"><button class="quiet small" onClick=${() => setAgain({ type: one.type, text: write(one.data ?? null, 2), id: one.id })}>Send again with changes</button></td></tr>`)}</tbody></table>
    ${events.length === 0 && !error && html`<p class="faint">Nothing was published in the last hour.</p>`}
    <h2>Dead letters</h2><${Letters} />`;
}

// The history of an organisation, sending events again, and what could not be delivered.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { exact, write } from '../../lib/json.js';
import { location, setQuery } from '../../lib/router.js';
import { notify, useLoad } from '../../lib/ui.js';
import { history } from '../../lib/work.js';
import { Letters } from './letters.js';

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

function Row({ one, again }) {
  const [isOpen, setOpen] = useState(false);
  const { event } = one;
  if (event === null) return html`<tr><td colspan="4" class="error">Entry ${short(one.entry)} is no event.</td></tr>`;
  const data = write(event.data ?? event.data_base64 ?? null);
  return html`<tr><td>${new Date(one.at || 0).toISOString().slice(11, 23)}</td><td><button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${isOpen ? '▾' : '▸'} ${short(event.type)}</button></td><td><code class="value">${short(data, 300)}</code></td>
      <td class="actions"><button class="quiet small" onClick=${again}>Send again with changes</button></td></tr>
    ${isOpen && html`<tr><td></td><td colspan="3"><pre tabindex="0">${short(write(event, 2), 100_000)}</pre></td></tr>`}`;
}

function History({ organisation, round, again }) {
  const [before, setBefore] = useState('');
  const { value = { events: [] }, error, loading } = useLoad((signal) => history(organisation, before, PAGE, signal), [organisation, before, round]);
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  return html`<div class="scroll" tabindex="0"><table class="live"><thead><tr><th>Time</th><th>Type</th><th>Data</th><th><span class="hidden">Actions</span></th></tr></thead>
    <tbody>${value.events.map((one) => html`<${Row} key=${one.entry} one=${one} again=${() => again(one.event)} />`)}</tbody></table></div>
    ${value.events.length === 0 && !loading && html`<p class="faint">Nothing was published.</p>`}
    <p class="row">${before && html`<button class="quiet small" onClick=${() => setBefore('')}>The newest</button>`}${value.next && html`<button class="quiet small" onClick=${() => setBefore(value.next)}>Older ones</button>`}</p>`;
}

export function Events() {
  const { organisation = '' } = location.value.query;
  const [draft, setDraft] = useState(organisation);
  const [again, setAgain] = useState({ type: 'booking.created', text: '{"room": 1}', id: '' });
  const [round, setRound] = useState(0);
  const reload = () => setRound((round) => round + 1);
  const repeat = (event) => {
    setAgain({ type: event.type, text: write(event.data ?? null, 2), id: event.id });
    document.getElementById('payload')?.scrollIntoView({ block: 'center' });
  };
  return html`<form class="row" onSubmit=${(event) => (event.preventDefault(), setQuery({ organisation: draft }))}>
      <input aria-label="Organisation; empty: the common history" placeholder="organisation; empty: the common history" value=${draft} onInput=${(event) => setDraft(event.target.value)} /><button>Show</button><button type="button" class="quiet" onClick=${reload}>Reload</button></form>
    <h2>Publish</h2><${Publish} key=${again.id} initial=${again} organisation=${organisation} sent=${reload} />
    <h2>History</h2><${History} key=${organisation} organisation=${organisation} round=${round} again=${repeat} />
    <h2>Dead letters</h2><${Letters} />`;
}

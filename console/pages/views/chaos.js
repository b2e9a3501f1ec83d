// Faults that the server injects on purpose, to see how programs cope.

import { html, useState } from '../vendor/preact.js';
import { CallError, openSession, request, session } from '../lib/store.js';
import { notify } from '../lib/ui.js';

/** By name: what it is called, and what a number stands for. */
const FIELDS = [
  ['latency', 'Latency, ms (20 or 20..80)', (text) => text.split('..').map((one) => `${one.trim()}ms`).join('..')],
  ['error', 'Answers that are an error, %', (text) => `${text}%`],
  ['drop-before', 'Connections closed before the command runs, %', (text) => `${text}%`],
  ['drop-after', 'Connections closed after it ran, %', (text) => `${text}%`],
  ['panic', 'Commands in which the server fails, %', (text) => `${text}%`],
  ['seed', 'Seed: the same numbers, the same fates', (text) => text],
];

/** A plan in words as what the fields show. */
function parse(plan) {
  const given = Object.fromEntries(plan.split(',').map((part) => part.split('=')).filter(([, value]) => value !== undefined));
  const percent = (name) => (given[name] ? String(Math.round(Number(given[name]) * 1e4) / 100) : '');
  const [low, high] = (given.latency ?? '').split('..').map((one) => one.replace('ms', ''));
  return { latency: low === high || high === undefined ? low : `${low}..${high}`, error: percent('error'), panic: percent('panic'), 'drop-before': percent('drop-before'), 'drop-after': percent('drop-after'), seed: given.seed ?? '' };
}

async function send(method, plan) {
  const body = plan === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ plan }) };
  const response = await request('faults', { method, ...body });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new CallError(answer.error ?? `status ${response.status}`, response.status);
  await openSession();
}

export function Chaos() {
  const [form, setForm] = useState(parse(session.value.faults));
  const set = async (next) => {
    const plan = FIELDS.filter(([id]) => next[id].trim()).map(([id, , write]) => `${id}=${write(next[id].trim())}`).join(',');
    try {
      await send(plan ? 'PUT' : 'DELETE', plan || undefined);
      setForm(parse(session.value.faults));
      notify(session.value.faults === 'off' ? 'No faults are injected.' : 'The faults are on.');
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<h1>Chaos</h1>
    <p>Requests over REST meet these faults, those of the functions too; the console's own do not, nor what speaks the Redis protocol. They end when restis stops.</p>
    <form class="prompt" onSubmit=${(event) => (event.preventDefault(), set(form))}>
      ${FIELDS.map(([id, label]) => html`<label for=${`fault-${id}`}>${label}</label><input id=${`fault-${id}`} inputmode=${id === 'latency' ? 'text' : 'decimal'} value=${form[id]} onInput=${(event) => setForm({ ...form, [id]: event.target.value })} />`)}
      <p class="row wrap"><button>Switch on</button> <button type="button" class="quiet" onClick=${() => set(parse('off'))}>Switch off</button>
        <button type="button" class="danger" onClick=${() => set({ ...parse('off'), 'drop-before': '100' })}>Store away</button></p>
    </form>
    <p role="status">Now: <code>${session.value.faults}</code></p>`;
}

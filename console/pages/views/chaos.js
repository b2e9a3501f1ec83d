// Faults that the server injects on purpose, and its clock: to see how programs cope.

import { html, useState } from '../vendor/preact.js';
import { short } from '../lib/bytes.js';
import { duration, toMillis } from '../lib/keys.js';
import { CallError, database, openSession, request, segment, session } from '../lib/store.js';
import { confirmed, notify } from '../lib/ui.js';

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

function Faults() {
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
  return html`<h2>Faults</h2>
    <p>Requests over REST meet these faults, those of the functions too; the console's own do not, nor what speaks the Redis protocol. They end when restis stops.</p>
    <form onSubmit=${(event) => (event.preventDefault(), set(form))}>
      <div class="fields">${FIELDS.map(([id, label]) => html`<label>${label}<input id=${`fault-${id}`} inputmode=${id === 'latency' ? 'text' : 'decimal'} value=${form[id]} onInput=${(event) => setForm({ ...form, [id]: event.target.value })} /></label>`)}</div>
      <p class="row wrap"><button>Switch on</button> <button type="button" class="quiet" onClick=${() => set(parse('off'))}>Switch off</button>
        <button type="button" class="danger" onClick=${() => set({ ...parse('off'), 'drop-before': '100' })}>Store away</button></p>
    </form>
    <p role="status">Now: <code>${session.value.faults}</code></p>`;
}

/** Times by which the clock is often moved. */
const STEPS = [['1m', 'A minute'], ['1h', 'An hour'], ['1d', 'A day'], ['30d', '30 days']];

/** Below `/__restis/` of the REST API: what `restis dev` lets tests do. */
async function control(path, body) {
  const options = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await request(`store/${segment(database.value)}/__restis/${path}`, { method: 'POST', ...options });
  const answer = await response.json().catch(() => ({}));
  if (answer.error !== undefined || !response.ok) throw new CallError(answer.error ?? `status ${response.status}`, response.status);
  await openSession();
}

function Clock() {
  const [text, setText] = useState('');
  const act = async (action, done) => {
    try {
      await action();
      notify(done);
    } catch (error) {
      notify(error, 'error');
    }
  };
  const move = (by) => act(async () => {
    const ms = toMillis(by);
    if (!ms) throw new Error('Write by how much, such as 90 (seconds) or 1h30m.');
    await control('clock', { advance_ms: ms });
  }, 'The clock was moved.');
  const reset = async () => {
    if (!(await confirmed(`Every key and function of ${short(database.value)} goes; what the seed makes is made again, and the clock goes back.`, 'Reset'))) return;
    await act(() => control('reset'), 'It is as at the start.');
  };
  const ahead = session.value.clockAheadMs;
  return html`<h2>Clock</h2>
    <p>What expires, expires by this clock: keys, sessions, limits, caches. It goes forward only, for every database; a reset sets it back.</p>
    <p class="row wrap">${STEPS.map(([by, name]) => html`<button class="quiet" onClick=${() => move(by)}>${name} later</button>`)}</p>
    <form class="row wrap" onSubmit=${(event) => (event.preventDefault(), move(text))}><label for="clock-by">Forward by</label><input id="clock-by" placeholder="1h30m" value=${text} onInput=${(event) => setText(event.target.value)} /><button>Move the clock</button></form>
    <p role="status">${ahead === 0 ? 'It shows the time of the machine.' : `It is ${duration(ahead)} ahead of the machine.`}</p>
    <h2>Reset</h2>
    <p class="row wrap"><button class="danger" onClick=${reset}>Reset ${short(database.value)}</button></p>`;
}

export function Chaos() {
  return html`<h1>Chaos</h1><${Faults} />${session.value.clockAheadMs != null && html`<${Clock} />`}`;
}

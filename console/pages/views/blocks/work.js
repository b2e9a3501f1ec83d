// Work of webhooks and other subscribers with its attempts, and the outboxes of clients.

import { html, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { write } from '../../lib/json.js';
import { duration } from '../../lib/keys.js';
import { link, location } from '../../lib/router.js';
import { notify, useLoad } from '../../lib/ui.js';
import { outboxes, subscribers } from '../../lib/work.js';

const clock = (ms) => new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
const wait = (ms) => (ms === null ? 'now' : ms > Date.now() ? `in ${duration(ms - Date.now())}` : 'now');

function Item({ item }) {
  return html`<tr><td><code>${short(item.event?.type ?? 'no event')}</code><div class="faint">${short(item.event?.id ?? item.id, 60)}</div></td><td>${item.attempts}</td><td>${wait(item.next)}</td>
    <td>${item.failures.slice(-5).map((failure) => html`<div class="faint">${clock(failure.at)} ${short(failure.error)}</div>`)}</td>
    <td><code class="value">${short(write(item.event?.data ?? null), 300)}</code></td></tr>`;
}

function Subscriber({ one }) {
  return html`<h3>${short(one.name)} <span class="faint">${short(one.types.replaceAll('\n', ', '), 300)}</span></h3>
    <p class="faint">${(one.waiting ?? 0).toLocaleString('en')} wait${one.oldest_age_s == null ? '' : `, the oldest for ${duration(1000 * one.oldest_age_s)}`}</p>
    ${one.items.length > 0 && html`<div class="scroll" tabindex="0"><table class="live"><thead><tr><th>Event</th><th>Attempts</th><th>Next try</th><th>What failed</th><th>Data</th></tr></thead>
      <tbody>${one.items.map((item) => html`<${Item} key=${item.id} item=${item} />`)}</tbody></table></div>`}`;
}

function Delivered({ ticks }) {
  if (ticks.length === 0) return html`<p>No endpoint is configured: <code>EVENTS_WEBHOOKS</code> names them.</p>`;
  return html`<table aria-label="What was delivered"><thead><tr><th>Endpoint</th><th>Delivered</th><th>To be tried again</th><th>Given up</th><th>Left alone for</th></tr></thead>
    <tbody>${ticks.map((tick) => html`<tr key=${tick.name}><td>${short(tick.name)}</td><td>${tick.delivered}</td><td>${tick.retried}</td><td>${tick.dead}</td><td>${tick.paused_ms ? duration(tick.paused_ms) : '–'}${tick.interrupted ? ' interrupted: the store did not answer' : ''}</td></tr>`)}</tbody></table>`;
}

function Outboxes() {
  const { value = [], error } = useLoad(outboxes, []);
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (value.length === 0) return html`<p class="faint">No client has sent events from an outbox (<code>POST /api/events/sync</code>).</p>`;
  return html`<div class="scroll" tabindex="0"><table><thead><tr><th>Outbox</th><th>Organisation</th><th>Epoch</th><th>Last number</th><th>Last sent</th></tr></thead>
    <tbody>${value.map((one) => html`<tr key=${one.id}><td><code>${short(one.id.slice(0, 12))}</code></td><td>${short(one.organisation ?? '–')}</td><td>${short(one.epoch ?? '–')}</td><td>${short(one.number ?? '–')}</td><td>${one.sent ? `${duration(Math.max(0, Date.now() - one.sent))} ago` : '–'}</td></tr>`)}</tbody></table></div>
    <p class="faint">The name of an outbox is a digest of its client: nobody can read from it who that is.</p>`;
}

export function Work() {
  const [ticks, setTicks] = useState(null);
  const [busy, setBusy] = useState(false);
  const { value = [], error, reload } = useLoad(subscribers, []);
  const deliver = async () => {
    setBusy(true);
    try {
      setTicks((await api('POST', 'events/work')).endpoints);
    } catch (error) {
      notify(error, 'error');
    }
    setBusy(false);
    reload();
  };
  return html`<p class="row wrap"><button disabled=${busy} onClick=${deliver}>${busy ? 'Delivering…' : 'Deliver webhooks now'}</button><button class="quiet" onClick=${reload}>Reload</button></p>
    ${ticks && html`<${Delivered} ticks=${ticks} />`}
    <h2>Subscribers</h2>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    ${value.map((one) => html`<${Subscriber} key=${one.name} one=${one} />`)}
    ${value.length === 0 && !error && html`<p class="faint">Nobody has subscribed: endpoints are known after the first delivery, workers when they register.</p>`}
    <p class="faint">What was given up is in the <a href=${link('blocks', { db: location.value.query.db, part: 'events' })}>dead letters</a>.</p>
    <h2>Outboxes</h2><${Outboxes} />`;
}

// Figures of the functions: how long their commands take, alerts with their state, events by type.

import { html, useEffect } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { short } from '../../lib/bytes.js';
import { duration } from '../../lib/keys.js';
import { Spark } from '../../lib/chart.js';
import { useLoad } from '../../lib/ui.js';

const AGAIN_MS = 15_000;
const HOURS = 24;
const ORDER = ['firing', 'pending', 'unknown', 'ok'];

const seconds = (value) => (value == null ? '–' : value < 0.001 ? `${(1e6 * value).toFixed(0)} µs` : `${(1000 * value).toFixed(1)} ms`);
const number = (value) => (value === undefined ? '–' : Number(value.toPrecision(4)).toLocaleString('en'));

function Alerts({ alerts }) {
  const sorted = [...alerts].sort((one, other) => ORDER.indexOf(one.status) - ORDER.indexOf(other.status));
  const firing = alerts.filter(({ status }) => status === 'firing').length;
  return html`<h2 id="alerts">Alerts</h2><p role="status">${firing === 0 ? 'No alert fires.' : html`<strong class="gone">${firing} fire.</strong>`}</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="alerts"><table><thead><tr><th>Alert</th><th>State</th><th>Value</th><th>Threshold</th><th>Since</th><th>Fires when, and what to do first</th></tr></thead>
    <tbody>${sorted.map((one) => html`<tr key=${one.name}><td><code>${one.name}</code><div class="faint">${one.severity}</div></td><td class=${{ ok: 'added', firing: 'gone', pending: 'gone' }[one.status]}>${one.status}</td>
      <td>${number(one.value)}</td><td>${number(one.threshold)}</td><td>${one.since_ms ? `${duration(Math.max(0, Date.now() - one.since_ms))} ago` : '–'}</td><td>${one.summary}<div class="faint">${one.remedy}</div></td></tr>`)}</tbody></table></div>`;
}

/** Types with their events by hour, the oldest hour first. */
function byType(hours) {
  const types = new Map();
  hours.forEach(({ published }, ago) => {
    for (const [type, count] of Object.entries(published)) {
      if (!types.has(type)) types.set(type, Array(hours.length).fill(0));
      types.get(type)[hours.length - 1 - ago] = Number(count);
    }
  });
  const sum = (counts) => counts.reduce((one, other) => one + other, 0);
  return [...types].map(([type, counts]) => ({ type, counts, sum: sum(counts) })).sort((one, other) => other.sum - one.sum);
}

function EventTypes({ health }) {
  const types = byType(health.hours ?? []);
  const failed = (type) => (health.hours ?? []).reduce((sum, hour) => sum + Number(hour.failed?.[type] ?? 0), 0);
  const { publish = {} } = health;
  return html`<h2 id="types">Events</h2>
    <p>${publish.calls ? html`Publishing took p50 ${publish.p50_ms ?? '–'} ms, p95 <strong>${publish.p95_ms ?? '–'} ms</strong>, p99 ${publish.p99_ms ?? '–'} ms in the last ${HOURS} hours.` : `Nothing was published in the last ${HOURS} hours.`}</p>
    ${types.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-labelledby="types"><table><thead><tr><th>Type</th><th>This hour</th><th>${HOURS} hours</th><th>By hour</th><th>Dead letters</th></tr></thead>
      <tbody>${types.map((one) => html`<tr key=${one.type}><td><code>${short(one.type)}</code></td><td>${one.counts.at(-1).toLocaleString('en')}</td><td>${one.sum.toLocaleString('en')}</td><td><${Spark} values=${one.counts} label=${`Events of ${short(one.type)} by hour`} /></td><td>${failed(one.type) || '–'}</td></tr>`)}</tbody></table></div>`}`;
}

async function read() {
  const [metrics, alerts, health] = await Promise.all([api('GET', 'metrics', { query: { format: 'json' } }), api('GET', 'metrics/alerts'), api('GET', 'events/health', { query: { hours: HOURS } }).catch((error) => error.answer ?? {})]);
  return { metrics: metrics.metrics, alerts: alerts.alerts, health };
}

export function FunctionFigures() {
  const { value, error, reload } = useLoad(read, []);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload(), AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  if (!value) return error ? html`<p class="error" role="alert">${error.message}</p>` : null;
  const [times] = value.metrics['redis.command.duration']?.samples ?? [];
  return html`<h2>Functions</h2>
    <p>A command of the functions took p50 ${seconds(times?.p50)}, p95 <strong>${seconds(times?.p95)}</strong>, p99 ${seconds(times?.p99)}, from submission to result; ${(times?.count ?? 0).toLocaleString('en')} were counted.</p>
    <${EventTypes} health=${value.health} /><${Alerts} alerts=${value.alerts} />`;
}

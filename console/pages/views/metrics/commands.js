// How often each command ran, and how long it took.

import { html } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { numbers } from '../../lib/info.js';
import { useLoad } from '../../lib/ui.js';

const SHOWN = 50;
const SHARES = [['p50', 0.5], ['p95', 0.95], ['p99', 0.99]];

export const micros = (value) => (value === undefined || Number.isNaN(value) ? '–' : value >= 10_000 ? `${(value / 1000).toFixed(1)} ms` : `${value < 100 ? value.toFixed(1) : Math.round(value)} µs`);

/** Commands by calls: `{ name, calls, micros, failed, times }`. */
function commands(now, histograms) {
  return Object.entries(now)
    .filter(([name]) => name.startsWith('cmdstat_'))
    .map(([name, text]) => {
      const plain = name.slice('cmdstat_'.length);
      const { calls, usec_per_call: micros, failed_calls: failed } = numbers(text);
      const times = { ...histograms.get(plain), ...numbers(now[`latency_percentiles_usec_${plain}`]) };
      return { name: plain, calls, micros, failed, times };
    })
    .sort((one, other) => other.calls - one.calls);
}

/** Percentiles by command of a Redis, whose INFO has no p95: the end of the bucket that holds it. */
async function histograms(signal) {
  const flat = await call(['LATENCY', 'HISTOGRAM'], { signal }).catch(() => []);
  const found = new Map();
  for (let at = 0; at < flat.length; at += 2) {
    const [, calls, , buckets] = flat[at + 1];
    const end = (share) => buckets.find((_, place) => place % 2 === 0 && buckets[place + 1] >= share * calls);
    found.set(flat[at], Object.fromEntries(SHARES.map(([name, share]) => [name, end(share)])));
  }
  return found;
}

export function CommandTimes({ now }) {
  const lacksShares = Object.keys(now).some((name) => name.startsWith('latency_percentiles_') && !now[name].includes('p95='));
  const { value = new Map() } = useLoad(async (signal) => (lacksShares ? histograms(signal) : new Map()), [lacksShares]);
  const rows = commands(now, value);
  return html`<h2 id="times">Commands</h2>
    ${rows.length === 0 && html`<p class="faint">The store does not count its commands.</p>`}
    <div class="scroll" tabindex="0" aria-labelledby="times" role="region"><table><thead><tr><th>Command</th><th>Calls</th><th>Failed</th><th>Mean</th>${SHARES.map(([name]) => html`<th>${name}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, SHOWN).map((one) => html`<tr key=${one.name}><td><code>${one.name}</code></td><td>${one.calls.toLocaleString('en')}</td><td>${one.failed || '–'}</td><td>${micros(one.micros)}</td>${SHARES.map(([name]) => html`<td>${micros(one.times[name])}</td>`)}</tr>`)}</tbody></table></div>`;
}

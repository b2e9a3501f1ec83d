// Figures of a database: what it does a second, what it holds, how long its commands take.

import { html, useEffect, useState } from '../vendor/preact.js';
import { call, database } from '../lib/store.js';
import { display, size } from '../lib/bytes.js';
import { Chart } from '../lib/chart.js';
import { info, numbers } from '../lib/info.js';

/** Two minutes at one reading a second. */
const KEPT = 120;

const reading = async () => {
  const [now, slow] = await Promise.all([info(), call(['SLOWLOG', 'GET', '20']).catch(() => [])]);
  return { at: performance.now(), now, slow };
};

/** The growth of a number a second between two readings. */
function rate(one, other, name) {
  const [before, after] = [one, other].map((reading) => Number(reading.now[name]));
  if (!Number.isFinite(before) || !Number.isFinite(after) || after < before) return null;
  return ((after - before) * 1000) / (other.at - one.at);
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;

/** Commands by calls: `{ name, calls, micros, failed, p50, p99, most }`. */
function commands(now) {
  return Object.entries(now)
    .filter(([name]) => name.startsWith('cmdstat_'))
    .map(([name, text]) => {
      const plain = name.slice('cmdstat_'.length);
      const { calls, usec_per_call: micros, failed_calls: failed } = numbers(text);
      const times = numbers(now[`latency_percentiles_usec_${plain}`]);
      return { name: plain, calls, micros, failed, p50: times.p50, p99: times.p99, most: times['p99.9'] };
    })
    .sort((one, other) => other.calls - one.calls);
}

const micros = (value) => (value === undefined || Number.isNaN(value) ? '–' : `${value < 100 ? value.toFixed(1) : Math.round(value)} µs`);

export function Metrics() {
  const [readings, setReadings] = useState([]);
  const [error, setError] = useState(null);
  useEffect(() => {
    let current = true;
    let timer;
    const read = async () => {
      try {
        const one = await reading();
        if (current) setReadings((before) => [...before, one].slice(-KEPT - 1));
        setError(null);
      } catch (error) {
        setError(error);
      }
      if (current) timer = setTimeout(read, document.hidden ? 5000 : 1000);
    };
    read();
    return () => ((current = false), clearTimeout(timer));
  }, [database.value]);
  const last = readings.at(-1);
  if (!last) return html`<h1>Metrics</h1>${error ? html`<p class="error" role="alert">${error.message}</p>` : html`<p class="wait">Reading…</p>`}`;
  const steps = readings.slice(1).map((one, at) => [readings[at], one]);
  const series = (name) => steps.map(([one, other]) => rate(one, other, name));
  const hits = steps.map(([one, other]) => {
    const [hit, missed] = [rate(one, other, 'keyspace_hits'), rate(one, other, 'keyspace_misses')];
    return hit == null || missed == null || hit + missed === 0 ? null : hit / (hit + missed);
  });
  const values = (name) => readings.map(({ now }) => (now[name] === undefined ? null : Number(now[name])));
  const { now, slow } = last;
  const keys = numbers(now.db0);
  const facts = [
    ['Version', now.redis_version], ['Running for', now.uptime_in_seconds && `${Number(now.uptime_in_seconds).toLocaleString('en')} s`],
    ['Keys', keys.keys?.toLocaleString('en') ?? '0'], ['Keys with expiry', keys.expires?.toLocaleString('en') ?? '0'],
    ['Most memory', now.maxmemory && (now.maxmemory === '0' ? 'no limit' : size(Number(now.maxmemory)))], ['Eviction', now.maxmemory_policy],
    ['Expired keys', now.expired_keys], ['Evicted keys', now.evicted_keys], ['Rejected connections', now.rejected_connections],
  ].filter(([, value]) => value);
  return html`<h1>Metrics</h1>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    <div class="charts">
      <${Chart} title="Commands a second" values=${series('total_commands_processed')} />
      <${Chart} title="Hit rate" values=${hits} format=${percent} />
      <${Chart} title="Memory" values=${values('used_memory')} format=${size} />
      <${Chart} title="Clients" values=${values('connected_clients')} />
      <${Chart} title="Bytes in a second" values=${series('total_net_input_bytes')} format=${size} />
      <${Chart} title="Bytes out a second" values=${series('total_net_output_bytes')} format=${size} />
    </div>
    <h2>Database</h2><table class="pairs"><tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table>
    <h2>Commands</h2>
    <div class="scroll" tabindex="0"><table><thead><tr><th>Command</th><th>Calls</th><th>Failed</th><th>Mean</th><th>p50</th><th>p99</th><th>p99.9</th></tr></thead>
    <tbody>${commands(now).slice(0, 50).map((one) => html`<tr key=${one.name}><td><code>${one.name}</code></td><td>${one.calls.toLocaleString('en')}</td><td>${one.failed || '–'}</td><td>${micros(one.micros)}</td><td>${micros(one.p50)}</td><td>${micros(one.p99)}</td><td>${micros(one.most)}</td></tr>`)}</tbody></table></div>
    <h2>Slow commands</h2>
    ${slow.length === 0 ? html`<p class="faint">None was slow.</p>` : html`<div class="scroll" tabindex="0"><table><thead><tr><th>When</th><th>Took</th><th>Command</th></tr></thead>
      <tbody>${slow.map(([id, at, took, args]) => html`<tr key=${id}><td>${new Date(at * 1000).toISOString().replace('T', ' ').slice(0, 19)}</td><td>${micros(took)}</td><td><code class="value">${args.map((arg) => display(arg)).join(' ').slice(0, 500)}</code></td></tr>`)}</tbody></table></div>`}`;
}

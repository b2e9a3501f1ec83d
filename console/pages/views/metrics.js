// Figures of a database: what it does a second, what it holds, how long its commands take; and what the functions tell.

import { html, useEffect, useState } from '../vendor/preact.js';
import { database, session } from '../lib/store.js';
import { size } from '../lib/bytes.js';
import { Chart } from '../lib/chart.js';
import { typedToken } from '../lib/functions.js';
import { info, numbers } from '../lib/info.js';
import { CommandTimes } from './metrics/commands.js';
import { FunctionFigures } from './metrics/functions.js';
import { slowLog, Slow } from './metrics/slow.js';
import { ServiceToken } from './token.js';

/** Two minutes at one reading a second. */
const KEPT = 120;

const reading = async () => {
  const [now, slow] = await Promise.all([info(), slowLog()]);
  return { at: performance.now(), now, slow };
};

/** The growth of a number a second between two readings. */
function rate(one, other, name) {
  const [before, after] = [one, other].map((reading) => Number(reading.now[name]));
  if (!Number.isFinite(before) || !Number.isFinite(after) || after < before) return null;
  return ((after - before) * 1000) / (other.at - one.at);
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;

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
    ${session.value.functions && html`<${ServiceToken} />`}
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    <div class="charts">
      <${Chart} title="Commands a second" values=${series('total_commands_processed')} />
      <${Chart} title="Hit rate" values=${hits} format=${percent} />
      <${Chart} title="Memory" values=${values('used_memory')} format=${size} />
      <${Chart} title="Clients" values=${values('connected_clients')} />
      <${Chart} title="Bytes in a second" values=${series('total_net_input_bytes')} format=${size} />
      <${Chart} title="Bytes out a second" values=${series('total_net_output_bytes')} format=${size} />
    </div>
    <${CommandTimes} now=${now} />
    <${Slow} entries=${slow} />
    ${session.value.functions && html`<${FunctionFigures} key=${typedToken.value} />`}
    <h2>Database</h2><table class="pairs"><tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table>`;
}

// The slow log of a database.

import { html } from '../../vendor/preact.js';
import { call, database, request, segment } from '../../lib/store.js';
import { display } from '../../lib/bytes.js';
import { micros } from './commands.js';

const MOST = 50;

/** The newest first: `{ id, at, micros, command }`, at in unix seconds. An embedded store tells it to the console alone. */
export async function slowLog() {
  const response = await request(`slow-log/${segment(database.value)}?count=${MOST}`);
  if (response.ok) return response.json();
  const entries = await call(['SLOWLOG', 'GET', MOST]).catch(() => []);
  return entries.map(([id, at, micros, args]) => ({ id, at, micros, command: args.map((arg) => display(arg)).join(' ') }));
}

export function Slow({ entries }) {
  if (entries.length === 0) return html`<h2>Slow commands</h2><p class="faint">None was slow.</p>`;
  return html`<h2 id="slow">Slow commands</h2><div class="scroll" tabindex="0" role="region" aria-labelledby="slow"><table><thead><tr><th>When</th><th>Took</th><th>Command</th></tr></thead>
    <tbody>${entries.map((one) => html`<tr key=${one.id}><td>${new Date(one.at * 1000).toISOString().replace('T', ' ').slice(0, 19)}</td><td>${micros(one.micros)}</td><td><code class="value">${display(one.command.slice(0, 500))}</code></td></tr>`)}</tbody></table></div>`;
}

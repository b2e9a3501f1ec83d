// A stream: its entries, the newest first, and its groups.

import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { display } from '../../lib/bytes.js';
import { words } from '../../lib/commandline.js';
import { Tabs, useLoad } from '../../lib/ui.js';
import { Rows } from './rows.js';

const PAGE = 100;

/** A list of names and values as an object. */
const object = (flat) => (Array.isArray(flat) ? Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]])) : flat);

function Groups({ name }) {
  const { value = [], error } = useLoad(async (signal) => {
    const groups = (await call(['XINFO', 'GROUPS', name], { signal })).map(object);
    const consumers = await Promise.all(groups.map((group) => call(['XINFO', 'CONSUMERS', name, group.name], { signal })));
    return groups.map((group, at) => ({ ...group, members: consumers[at].map(object) }));
  }, []);
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (value.length === 0) return html`<p class="faint">No group reads this stream.</p>`;
  return html`<div class="scroll" tabindex="0"><table><thead><tr><th>Group</th><th>Consumers</th><th>Pending</th><th>Lag</th><th>Last delivered</th></tr></thead>
    <tbody>${value.map((group) => html`<tr><td>${display(group.name)}</td>
      <td>${group.members.map((member) => html`<div>${display(member.name)} <span class="faint">${member.pending} pending</span></div>`)}</td>
      <td>${group.pending}</td><td>${group.lag ?? '–'}</td><td><code>${group['last-delivered-id']}</code></td></tr>`)}</tbody></table></div>`;
}

export function Stream({ name, changed }) {
  const [part, setPart] = useState('entries');
  const page = async (end = '+', signal) => {
    const entries = await call(['XREVRANGE', name, end, '-', 'COUNT', PAGE], { signal });
    const rows = entries.map(([id, fields]) => ({ id, name: id, value: Array.from({ length: fields.length / 2 }, (_, at) => `${display(fields[2 * at])}: ${display(fields[2 * at + 1])}`).join('\n') }));
    return { rows, next: rows.length === PAGE ? `(${rows.at(-1).id}` : null };
  };
  const add = async ({ fields = '' }) => {
    const list = words(fields);
    if (list.length === 0 || list.length % 2) throw new Error('Write fields and values in turn: city Bern celsius 21');
    await call(['XADD', name, '*', ...list]);
  };
  return html`<${Tabs} label="Part" choices=${[['entries', 'Entries'], ['groups', 'Groups']]} value=${part} onChange=${setPart} />
    ${part === 'groups' ? html`<${Groups} name=${name} />` : html`<${Rows} heads=${['ID', 'Fields']} page=${page} changed=${changed} remove=${(row) => call(['XDEL', name, row.id])}
      fields=${[['fields', 'city Bern celsius 21']]} add=${add} />`}`;
}

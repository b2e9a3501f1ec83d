// The operations of the functions, as their OpenAPI description tells them, to read and to try.

import { html } from '../vendor/preact.js';
import { inline, markdown } from '../lib/markdown.js';
import { operations } from '../lib/openapi.js';
import { location, setQuery } from '../lib/router.js';
import { CallError } from '../lib/store.js';
import { useLoad } from '../lib/ui.js';
import { ServiceToken } from './token.js';
import { Operation } from './api/operation.js';

async function read(signal) {
  const response = await fetch('/api/openapi.json', { signal });
  if (!response.ok) throw new CallError(`The description of the functions is not there: status ${response.status}.`, response.status);
  return response.json();
}

function Group({ tag, found, chosen, choose }) {
  return html`<h2>${tag}</h2><ul class="operations">${found.map(({ id, method, path, described }) => html`<li key=${id}>
    <button class="leaf" aria-current=${id === chosen ? 'true' : undefined} onClick=${() => choose(id)}><b class="method">${method}</b> ${path}</button>
    <p class="faint">${inline(described.summary ?? '')}</p></li>`)}</ul>`;
}

export function Api() {
  const { find = '', operation } = location.value.query;
  const { value: api, error } = useLoad(read, []);
  if (!api) return html`<h1>API</h1>${error ? html`<p class="error" role="alert">${error.message}</p>` : html`<p class="wait">Reading…</p>`}`;
  const all = operations(api);
  const wanted = find.toLowerCase();
  const found = all.filter(({ id, tag, described }) => `${id} ${tag} ${described.summary ?? ''}`.toLowerCase().includes(wanted));
  const tags = [...new Set(found.map(({ tag }) => tag))];
  const chosen = all.find(({ id }) => id === operation);
  const choose = (id) => setQuery({ operation: id }, { replace: false });
  return html`<h1>API</h1><${ServiceToken} />
    <div class=${chosen ? 'split chosen' : 'split'}>
      <section aria-label="Operations" class="keys">
        ${!chosen && html`<div class="faint">${markdown(api.info.description)}</div>`}
        <p class="row"><input type="search" aria-label="Find an operation" placeholder="Find an operation" value=${find} onInput=${(event) => setQuery({ find: event.target.value })} /></p>
        ${tags.map((tag) => html`<${Group} key=${tag} tag=${tag} found=${found.filter((one) => one.tag === tag)} chosen=${operation} choose=${choose} />`)}
        ${found.length === 0 && html`<p>There is no such operation.</p>`}
        <p class="faint">All of it as a file: <a href="/api/openapi.json">openapi.json</a></p>
      </section>
      ${chosen && html`<section aria-label="Operation" class="value-pane"><${Operation} key=${chosen.id} api=${api} operation=${chosen} close=${() => setQuery({ operation: undefined })} /></section>`}
    </div>`;
}

// One operation: what it does, a form that sends it, and what it answers.

import { html, useEffect, useId, useRef, useState } from '../../vendor/preact.js';
import { examples } from '../../lib/examples.js';
import { serviceToken } from '../../lib/functions.js';
import { inline, markdown } from '../../lib/markdown.js';
import { bounds, kind, resolve, sample } from '../../lib/openapi.js';
import { segment } from '../../lib/store.js';
import { confirmed, Copy, notify, useLoad } from '../../lib/ui.js';
import { Answer } from './answer.js';

const CREDENTIALS = {
  service_token: 'a service token (the console sends it)', grant: 'a grant', grant_in_query: 'a grant in the query', session_cookie: 'a session cookie (the browser sends it)',
};

const quoted = (word) => `'${String(word).replaceAll("'", "'\\''")}'`;

const curl = ({ url, init }) => ['curl', '-i', '-X', init.method, quoted(url.href), ...[...init.headers].flatMap(([name, value]) => ['-H', quoted(`${name}: ${value}`)]), ...(init.body ? ['-d', quoted(init.body)] : [])].join(' ');

/** What the form says, as a request. */
function build({ path, method, described }, values, body, lines) {
  const query = new URLSearchParams();
  const headers = new Headers();
  const token = serviceToken();
  if (token && (described.security ?? []).some((one) => 'service_token' in one)) headers.set('authorization', `Bearer ${token}`);
  for (const { name, in: place } of described.parameters ?? []) {
    const value = values[name] ?? '';
    if (place === 'path') path = path.replace(`{${name}}`, () => segment(value));
    else if (value !== '' && place === 'query') query.append(name, value);
    else if (value !== '' && place === 'header') headers.set(name, value);
  }
  if (body !== null) headers.set('content-type', 'application/json');
  for (const line of lines.split('\n').filter((line) => line.trim())) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`“${line}” is not “Name: value”.`);
    headers.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const search = query.toString();
  return { url: new URL(path + (search && `?${search}`), globalThis.location.origin), init: { method, headers, body: body ?? undefined, cache: 'no-store' } };
}

function Field({ api, parameter, value, set, known }) {
  const id = useId();
  const schema = resolve(api, parameter.schema);
  const choices = schema.enum ?? (kind(schema) === 'boolean' ? ['true', 'false'] : null);
  return html`<label for=${id}><code>${parameter.name}</code>${parameter.required ? ' (required)' : ''}
      <span class="faint">${inline([parameter.description, bounds(schema)].filter(Boolean).join(' · '))}</span></label>
    ${choices
      ? html`<select id=${id} required=${parameter.required} value=${value} onChange=${(event) => set(event.target.value)}>${['', ...choices].map((choice) => html`<option>${choice}</option>`)}</select>`
      : html`<input id=${id} required=${parameter.required} maxlength=${schema.maxLength} inputmode=${kind(schema) === 'integer' ? 'numeric' : undefined} autocomplete="off" spellcheck=${false} list=${known.length ? `${id}-known` : undefined} value=${value} onInput=${(event) => set(event.target.value)} />
        ${known.length > 0 && html`<datalist id=${`${id}-known`}>${known.map((one) => html`<option value=${one}></option>`)}</datalist>`}`}`;
}

function Members({ api, schema }) {
  const whole = resolve(api, schema);
  const parts = Object.entries(whole.properties ?? {});
  if (parts.length === 0) return null;
  return html`<details><summary>Members of the body</summary><div class="scroll" tabindex="0"><table><thead><tr><th>Member</th><th>Type</th><th>Meaning</th></tr></thead>
    <tbody>${parts.map(([name, part]) => html`<tr key=${name}><td><code>${name}</code></td><td>${bounds(resolve(api, part))}${whole.required?.includes(name) ? ', required' : ''}</td><td>${inline(part.description ?? resolve(api, part).description ?? '')}</td></tr>`)}</tbody></table></div></details>`;
}

/** What ends or deletes something is asked about first. */
const isDangerous = ({ method, path }) => method === 'DELETE' || /revoke|purge|invalidate/.test(path);

/** Before the examples are read. */
const NONE = () => [];

export function Operation({ api, operation, close }) {
  const { described, id } = operation;
  const parameters = described.parameters ?? [];
  const schema = described.requestBody?.content?.['application/json']?.schema;
  const [values, setValues] = useState({});
  const [body, setBody] = useState(schema === undefined ? null : '');
  const [lines, setLines] = useState('');
  const [sent, setSent] = useState(null);
  const touched = useRef(false);
  const { value: given = NONE } = useLoad(examples, []);
  const known = (name) => given(name === 'id' ? (operation.path.includes('/dlq/') ? 'letter' : 'session') : name);
  // Filled in when the examples are there, unless somebody was faster.
  useEffect(() => {
    if (touched.current) return;
    const filled = parameters.filter(({ required }) => required).map(({ name, schema }) => [name, known(name)[0] ?? resolve(api, schema).example ?? '']);
    setValues(Object.fromEntries(filled));
    if (schema !== undefined) setBody(JSON.stringify(sample(api, schema, known), null, 2));
  }, [given]);
  const change = (action) => {
    touched.current = true;
    action();
  };
  const request = () => build(operation, values, body, lines);
  const submit = async (event) => {
    event.preventDefault();
    if (isDangerous(operation) && !(await confirmed(`${id} ends or deletes what it names.`, 'Send'))) return;
    try {
      setSent({ ...request(), number: (sent?.number ?? 0) + 1 });
    } catch (error) {
      notify(error, 'error');
    }
  };
  let text = '';
  try {
    text = curl(request());
  } catch {
    // Copied when what is missing is filled in.
  }
  const schemes = (described.security ?? []).map((one) => Object.keys(one).map((name) => CREDENTIALS[name] ?? name).join(' and ') || 'nothing');
  return html`<header class="key"><h2><b class="method">${operation.method}</b> ${operation.path}</h2><button class="quiet" aria-label="Close the operation" onClick=${close}>×</button></header>
    <p>${inline(described.summary ?? '')}</p>
    ${markdown(described.description)}
    <p class="faint">Credentials: ${schemes.join(', or ') || 'nothing'}.</p>
    <form class="prompt" onSubmit=${submit}>
      ${parameters.map((parameter) => html`<${Field} key=${parameter.name} api=${api} parameter=${parameter} known=${known(parameter.name)} value=${values[parameter.name] ?? ''} set=${(value) => change(() => setValues({ ...values, [parameter.name]: value }))} />`)}
      ${body !== null && html`<label for="body">Body (JSON)</label><textarea id="body" class="short" rows="8" spellcheck=${false} value=${body} onInput=${(event) => change(() => setBody(event.target.value))}></textarea><${Members} api=${api} schema=${schema} />`}
      <details><summary>More headers</summary><textarea class="short" aria-label="More headers, one “Name: value” a line" placeholder="Idempotency-Key: order-7" spellcheck=${false} value=${lines} onInput=${(event) => setLines(event.target.value)}></textarea></details>
      <p class="row wrap"><button>Send</button>${text && html`<${Copy} text=${text} label="Copy as curl" />`}</p>
    </form>
    ${sent && html`<${Answer} key=${sent.number} request=${sent} />`}
    <details><summary>Possible answers</summary><table><thead><tr><th>Status</th><th>Meaning</th></tr></thead>
      <tbody>${Object.entries(described.responses).map(([status, one]) => html`<tr key=${status}><td>${status}</td><td>${inline(one.description)}</td></tr>`)}</tbody></table></details>`;
}

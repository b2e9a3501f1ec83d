// Sends a request and shows its answer; a stream grows while it lasts.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { display, short } from '../../lib/bytes.js';
import { pretty } from '../../lib/json.js';
import { link, location } from '../../lib/router.js';

/** Letters of a body that are shown. */
const SHOWN = 100_000;

async function read(response, update, started) {
  const head = { status: response.status, ok: response.ok, text: response.statusText, headers: [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n') };
  const took = () => Math.round(performance.now() - started);
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream')) {
    const body = await response.text();
    const isJson = /[/+]json/.test(type) && body.length <= SHOWN;
    return update({ ...head, ms: took(), body: isJson ? pretty(body) ?? body : body });
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let body = '';
  update({ ...head, ms: took(), body, isOpen: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (!done) body = (body + value).slice(-SHOWN);
    update({ ...head, ms: took(), body, isOpen: !done });
    if (done) return undefined;
  }
}

export function Answer({ request }) {
  const [answer, setAnswer] = useState(null);
  const abort = useRef(null);
  useEffect(() => {
    abort.current = new AbortController();
    const { signal } = abort.current;
    const started = performance.now();
    const update = (next) => signal.aborted || setAnswer(next);
    fetch(request.url, { ...request.init, signal })
      .then((response) => read(response, update, started))
      .catch((error) => update({ error: `The functions do not answer: ${error.message}` }));
    return () => abort.current.abort();
  }, []);
  const stop = () => (abort.current.abort(), setAnswer({ ...answer, error: answer ? '' : 'It is no longer waited for.', isOpen: false }));
  if (!answer) return html`<p class="row wait" role="status">Waiting… <button class="quiet small" onClick=${stop}>Stop</button></p>`;
  if (answer.error) return html`<p class="error" role="alert">${answer.error}</p>`;
  return html`<section aria-label="Answer">
    <p class="row wrap" role="status"><strong class=${answer.ok ? 'added' : 'gone'}>${answer.status} ${answer.text}</strong> <span class="faint">${answer.isOpen ? 'the stream is open' : `in ${answer.ms} ms`}</span>
      ${answer.isOpen && html`<button class="quiet small" onClick=${stop}>Stop</button>`}
      <a href=${link('live', { db: location.value.query.db, part: 'requests' })}>What it sent to the store</a></p>
    <pre tabindex="0" aria-label="Body">${short(answer.body, SHOWN)}</pre>
    <details><summary>Headers</summary><pre tabindex="0" aria-label="Headers">${display(answer.headers)}</pre></details>
  </section>`;
}

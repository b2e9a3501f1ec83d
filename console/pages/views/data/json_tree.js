// A JSON document as a tree that opens by branches.

import { html, useEffect, useState } from '../../vendor/preact.js';
import { display, short } from '../../lib/bytes.js';

const SHOWN = 200;

/** A worker that holds the document: `ask(question)` resolves to its answer. */
function open() {
  const worker = new Worker('/console/assets/lib/json_worker.js', { type: 'module' });
  const waiting = new Map();
  let last = 0;
  const fail = (text) => waiting.forEach(({ reject }) => reject(new Error(text)));
  worker.onmessage = ({ data: { id, value, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(value);
    else reject(new Error(error));
  };
  worker.onerror = () => fail('The document could not be read.');
  return {
    ask: (question) => new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, ...question });
    }),
    close: () => worker.terminate(),
  };
}

function Branch({ node, path, ask }) {
  const [isOpen, setOpen] = useState(path.length < 1);
  const [most, setMost] = useState(SHOWN);
  const [children, setChildren] = useState(null);
  const isBranch = node.text === undefined;
  useEffect(() => {
    let current = true;
    if (isBranch && isOpen) ask({ path, most }).then((value) => current && setChildren(value), () => {});
    return () => (current = false);
  }, [isOpen, most]);
  if (!isBranch) return html`<li><span class="name">${short(node.name)}</span> <code class="value">${display(node.text)}</code></li>`;
  const kind = node.isList ? `[${node.size}]` : `{${node.size}}`;
  return html`<li><button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${isOpen ? '▾' : '▸'} ${short(node.name)} <span class="faint">${kind}</span></button>
    ${isOpen && children && html`<ul>${children.map((child) => html`<${Branch} key=${child.name} node=${child} path=${[...path, child.name]} ask=${ask} />`)}
      ${node.size > most && html`<li><button class="quiet small" onClick=${() => setMost(most + SHOWN)}>${(node.size - most).toLocaleString('en')} more</button></li>`}</ul>`}</li>`;
}

export function JsonTree({ text }) {
  const [state, setState] = useState(null);
  useEffect(() => {
    const holder = open();
    holder.ask({ text }).then((node) => setState({ node, ask: holder.ask, text }), (error) => setState({ error }));
    return holder.close;
  }, [text]);
  if (state?.error) return html`<p class="error" role="alert">${state.error.message}</p>`;
  if (state?.text !== text) return html`<p class="wait">Reading…</p>`;
  return html`<ul class="tree json scroll" tabindex="0"><${Branch} node=${state.node} path=${[]} ask=${state.ask} /></ul>`;
}

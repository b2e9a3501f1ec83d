// Parts that every view uses.

import { html, signal, useEffect, useRef, useState } from '../vendor/preact.js';
import { returns } from './store.js';

/** Messages at the edge of the page. */
const messages = signal([]);
let number = 0;

/** Shows a message for some seconds; errors stay until they are closed. */
export function notify(text, kind = 'info') {
  const message = { id: ++number, text: String(text?.message ?? text), kind };
  messages.value = [...messages.value.slice(-3), message];
  if (kind !== 'error') setTimeout(() => dismiss(message.id), 4000);
}

const dismiss = (id) => (messages.value = messages.value.filter((message) => message.id !== id));

export function Messages() {
  return html`<div class="messages" role="status" aria-live="polite">
    ${messages.value.map(
      ({ id, text, kind }) =>
        html`<p class=${`message ${kind}`} key=${id}>
          <span>${text}</span><button class="quiet" aria-label="Close the message" onClick=${() => dismiss(id)}>×</button>
        </p>`,
    )}
  </div>`;
}

/** A button that copies a text. */
export function Copy({ text, label = 'Copy' }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    } catch {
      notify('The browser does not allow copying here; select the text instead.', 'error');
    }
  };
  return html`<button class="quiet" onClick=${copy} aria-label=${label}>${copied ? 'Copied' : 'Copy'}</button>`;
}

/** A block of code with a button that copies it. */
export function Code({ text, label }) {
  return html`<div class="code"><pre tabindex="0">${text}</pre><${Copy} text=${text} label=${label ?? 'Copy the code'} /></div>`;
}

/** Choices of which one is shown, by arrow keys too. */
export function Tabs({ label, choices, value, onChange }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = choices.findIndex(([id]) => id === value);
    const [id] = choices[(at + step + choices.length) % choices.length];
    onChange(id);
    event.currentTarget.querySelector(`[data-id="${id}"]`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
    ${choices.map(
      ([id, name]) =>
        html`<button role="tab" data-id=${id} aria-selected=${String(id === value)} tabindex=${id === value ? 0 : -1}
          onClick=${() => onChange(id)}>${name}</button>`,
    )}
  </div>`;
}

/** A dialog over the page; Escape closes it, and the focus returns to where it was. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    element.current.showModal();
  }, []);
  return html`<dialog ref=${element} aria-label=${title} onClose=${onClose}
    onClick=${(event) => event.target === element.current && element.current.close()}>
    <header><h2>${title}</h2><button class="quiet" aria-label="Close" onClick=${() => element.current.close()}>×</button></header>
    ${children}
  </dialog>`;
}

const question = signal(null);

/** Asks before something is done; resolves to `true` or `false`. */
export function confirmed(text, action) {
  return new Promise((resolve) => {
    question.value = { text, action, resolve };
  });
}

export function Question() {
  if (!question.value) return null;
  const { text, action, resolve } = question.value;
  const answer = (yes) => {
    question.value = null;
    resolve(yes);
  };
  return html`<${Dialog} title="Are you sure?" onClose=${() => answer(false)}>
    <p>${text}</p>
    <p class="actions"><button onClick=${() => answer(false)} autofocus>Cancel</button>
    <button class="danger" onClick=${() => answer(true)}>${action}</button></p>
  <//>`;
}

/** What an asynchronous function gave: `{ value, error, loading, reload }`; the newest call counts. */
export function useLoad(load, inputs) {
  const [state, setState] = useState({ loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    load(abort.signal).then(
      (value) => abort.signal.aborted || setState({ value, loading: false }),
      (error) => abort.signal.aborted || setState({ error, loading: false }),
    );
    return () => abort.abort();
  }, [...inputs, round]);
  // What failed while restis was away is read again when it is back.
  useEffect(() => {
    if (state.error) setRound((round) => round + 1);
  }, [returns.value]);
  return { ...state, reload: () => setRound((round) => round + 1) };
}

// Ctrl-K: goes to a view, a database or a key, or does what the page can do.

import { html, signal, useEffect, useRef, useState } from '../vendor/preact.js';
import { session } from '../lib/store.js';
import { nextTheme } from '../lib/theme.js';
import { go, location } from '../lib/router.js';

export const isOpen = signal(false);

addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    if (session.value) isOpen.value = !isOpen.value;
  }
});

function actions(views, text) {
  const { db } = location.value.query;
  const found = [
    ...views.map(([id, name]) => ({ name: `Go to ${name}`, act: () => go(id, { db }) })),
    ...session.value.databases.map((one) => ({ name: `Show database ${one.name}`, act: () => go(location.value.view, { db: one.name }) })),
    { name: 'Change light and dark', act: nextTheme },
  ].filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()));
  if (text.trim()) {
    found.push({ name: `Open key ${text}`, act: () => go('data', { db, key: text }) });
    found.push({ name: `Run ${text}`, act: () => go('commands', { db, command: text }) });
  }
  return found;
}

export function Palette({ views }) {
  if (!isOpen.value) return null;
  return html`<${Opened} views=${views} />`;
}

function Opened({ views }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const element = useRef(null);
  useEffect(() => element.current.showModal(), []);
  const found = actions(views, text);
  const chosen = Math.min(at, found.length - 1);
  const act = (action) => {
    element.current.close();
    action?.act();
  };
  const keys = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((chosen + step + found.length) % found.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      act(found[chosen]);
    }
  };
  return html`<dialog ref=${element} class="palette" aria-label="Go to or do" onClose=${() => (isOpen.value = false)}
    onClick=${(event) => event.target === element.current && element.current.close()}>
    <input role="combobox" aria-expanded="true" aria-controls="actions" aria-activedescendant=${`action-${chosen}`} aria-label="View, database, key or command"
      value=${text} onInput=${(event) => (setText(event.target.value), setAt(0))} onKeyDown=${keys} placeholder="View, database, key or command" />
    <ul id="actions" role="listbox" aria-label="Actions">${found.map(
      (action, index) => html`<li id=${`action-${index}`} role="option" aria-selected=${String(index === chosen)} onClick=${() => act(action)}>${action.name}</li>`,
    )}</ul>
  </dialog>`;
}

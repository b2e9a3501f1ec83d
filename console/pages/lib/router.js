// The address is the state: `#/view?name=value`. Back, reload and a copied link lead to the same.

import { signal } from '../vendor/preact.js';

/** `{ view, query }` of the address. */
export const location = signal(parse());

function parse() {
  const text = globalThis.location.hash.replace(/^#\/?/, '');
  const at = text.indexOf('?');
  const [path, query] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  return { view: path || 'start', query: Object.fromEntries(new URLSearchParams(query)) };
}

addEventListener('hashchange', () => (location.value = parse()));

/** The address of a view. */
export function link(view, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(given).toString();
  return `#/${view}${search && `?${search}`}`;
}

/** Goes to a view; `replace` leaves no step in the history. */
export function go(view, query = {}, { replace = false } = {}) {
  const address = link(view, query);
  if (replace) {
    history.replaceState(null, '', address);
    location.value = parse();
  } else {
    globalThis.location.hash = address;
  }
}

/** Changes some parameters of the view that is shown. */
export function setQuery(changes, options = { replace: true }) {
  const { view, query } = location.value;
  go(view, { ...query, ...changes }, options);
}

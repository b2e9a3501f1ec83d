// A set of vectors, to be read.

import { html } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { display, short } from '../../lib/bytes.js';
import { useLoad } from '../../lib/ui.js';

const SHOWN = 100;

export function Vectors({ name }) {
  const { value, error } = useLoad(async (signal) => {
    const options = { signal };
    const [flat, members] = await Promise.all([call(['VINFO', name], options), call(['VRANDMEMBER', name, SHOWN], options)]);
    return { facts: Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]]), members };
  }, []);
  if (error) return html`<p class="error" role="alert">${error.message}</p>`;
  if (!value) return html`<p class="wait">Reading…</p>`;
  return html`<p>Vectors are shown here, and changed by VADD and VREM in the command line.</p>
    <table class="pairs"><tbody>${value.facts.map(([fact, shown]) => html`<tr><th scope="row">${display(fact)}</th><td>${short(shown)}</td></tr>`)}</tbody></table>
    <h3>Some of its members</h3><ul>${value.members.map((member) => html`<li><code class="value">${short(member)}</code></li>`)}</ul>`;
}

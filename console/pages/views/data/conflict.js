// What to do when a value was changed by somebody else while it was edited here.

import { html } from '../../vendor/preact.js';
import { display } from '../../lib/bytes.js';
import { Dialog } from '../../lib/ui.js';

/** Lines that only one of the two has. A line that moved counts as both. */
function difference(theirs, mine) {
  const [theirLines, myLines] = [theirs, mine].map((value) => display(value).split('\n').slice(0, 2000));
  let start = 0;
  while (start < theirLines.length && theirLines[start] === myLines[start]) start++;
  let end = 0;
  while (end < theirLines.length - start && end < myLines.length - start && theirLines.at(-1 - end) === myLines.at(-1 - end)) end++;
  const cut = (lines) => lines.slice(start, lines.length - end);
  return [...cut(theirLines).map((line) => ['-', line]), ...cut(myLines).map((line) => ['+', line])];
}

export function Conflict({ mine, theirs, close, overwrite, discard }) {
  if (theirs === null) {
    return html`<${Dialog} title="The value is gone" onClose=${close}>
      <p>Somebody else has deleted it, or it has expired, since it was read here.</p>
      <p class="actions"><button class="quiet" onClick=${discard}>Leave it so</button> <button class="danger" onClick=${overwrite}>Save mine</button></p>
    <//>`;
  }
  return html`<${Dialog} title="The value changed meanwhile" onClose=${close}>
    <p>Somebody else has written this key since it was read here. − is what is stored now, + is yours:</p>
    <pre tabindex="0" class="diff">${difference(theirs, mine).slice(0, 500).map(([sign, line]) => html`<span class=${sign === '+' ? 'added' : 'gone'}>${sign} ${line.slice(0, 2000)}${'\n'}</span>`)}</pre>
    <p class="actions"><button class="quiet" onClick=${discard}>Take theirs</button> <button class="danger" onClick=${overwrite}>Save mine</button></p>
  <//>`;
}

// Makes a key of any type.

import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { words } from '../../lib/commandline.js';
import { Dialog } from '../../lib/ui.js';
import { toMillis } from '../../lib/keys.js';
import { fromAddress } from './key.js';

/** By type: what is asked for, and the command; the words are those of the command line. */
const KINDS = {
  string: ['Value', (key, text) => ['SET', key, text, 'NX']],
  hash: ['Fields and values: name Ada born 1815', (key, text) => ['HSET', key, ...words(text)]],
  list: ['Items: one two "three and more"', (key, text) => ['RPUSH', key, ...words(text)]],
  set: ['Members: one two', (key, text) => ['SADD', key, ...words(text)]],
  zset: ['Scores and members: 1 one 2 two', (key, text) => ['ZADD', key, ...words(text)]],
  stream: ['Fields and values of the first entry', (key, text) => ['XADD', key, '*', ...words(text)]],
  json: ['Document', (key, text) => ['JSON.SET', key, '$', text, 'NX']],
};

export function Create({ close, made }) {
  const [draft, setDraft] = useState({ name: '', kind: 'string', text: '', ttl: '' });
  const [wrong, setWrong] = useState('');
  const set = (field) => (event) => setDraft({ ...draft, [field]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const key = fromAddress(draft.name);
      const ms = toMillis(draft.ttl);
      if (await call(['EXISTS', key])) throw new Error('There is a key of this name already.');
      if ((await call(KINDS[draft.kind][1](key, draft.text))) === null) throw new Error('There is a key of this name already.');
      if (ms !== null) await call(['PEXPIRE', key, ms]);
      made(key);
    } catch (error) {
      setWrong(error.message);
    }
  };
  return html`<${Dialog} title="New key" onClose=${close}><form class="prompt" onSubmit=${submit}>
    <label for="new-name">Name</label><input id="new-name" value=${draft.name} onInput=${set('name')} autofocus />
    <label for="new-kind">Type</label><select id="new-kind" value=${draft.kind} onChange=${set('kind')}>${Object.keys(KINDS).map((kind) => html`<option>${kind}</option>`)}</select>
    <label for="new-text">${KINDS[draft.kind][0]}</label><textarea id="new-text" class="short" value=${draft.text} onInput=${set('text')}></textarea>
    <label for="new-ttl">Expires in: seconds, or a time such as 1h30m; empty: never</label><input id="new-ttl" value=${draft.ttl} onInput=${set('ttl')} />
    <p class="error" role="alert">${wrong}</p><p class="actions"><button>Create</button></p>
  </form><//>`;
}

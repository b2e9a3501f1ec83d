// One key: what it is, what can be done with it, and its value.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { display, short, size } from '../../lib/bytes.js';
import { duration, toMillis } from '../../lib/keys.js';
import { word, words } from '../../lib/commandline.js';
import { link, location, setQuery } from '../../lib/router.js';
import { confirmed, Dialog, notify, useLoad } from '../../lib/ui.js';
import { StringValue } from './string.js';
import { Hash, List, SetValue, SortedSet } from './collections.js';
import { Stream } from './stream.js';
import { Json } from './json.js';
import { Vectors } from './vectors.js';

const VIEWS = { string: StringValue, hash: Hash, list: List, set: SetValue, zset: SortedSet, stream: Stream, 'ReJSON-RL': Json, vectorset: Vectors };

/** A key in the address: as it is where it is text, else in the quotes of the command line. */
export const toAddress = (key) => (typeof key === 'string' && key !== '' && !key.startsWith('"') && display(key) === key && !key.includes('\n') ? key : word(key));
export const fromAddress = (text) => {
  if (!text.startsWith('"')) return text;
  try {
    return words(text)[0] ?? '';
  } catch {
    return text;
  }
};

async function read(key, signal) {
  const options = { signal };
  const [type, ttl, bytes, encoding] = await Promise.all([
    call(['TYPE', key], options),
    call(['PTTL', key], options),
    call(['MEMORY', 'USAGE', key], options).catch(() => null),
    call(['OBJECT', 'ENCODING', key], options).catch(() => null),
  ]);
  return { type, ttl, bytes, encoding };
}

function Ask({ title, label, initial, action, close }) {
  const [text, setText] = useState(initial);
  const [wrong, setWrong] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    try {
      await action(text);
      close();
    } catch (error) {
      setWrong(error.message);
    }
  };
  return html`<${Dialog} title=${title} onClose=${close}><form class="prompt" onSubmit=${submit}>
    <label for="answer">${label}</label><input id="answer" value=${text} onInput=${(event) => setText(event.target.value)} autofocus />
    <p class="error" role="alert">${wrong}</p><p class="actions"><button>${title}</button></p>
  </form><//>`;
}

async function setExpiry(key, text) {
  const ms = toMillis(text);
  if (ms !== null && ms < 1) throw new Error('A key that expires at once would be deleted; Delete does that.');
  if (ms === null) await call(['PERSIST', key]);
  else if (!(await call(['PEXPIRE', key, ms]))) throw new Error('The key is gone.');
}

export function Key({ name, close, changed }) {
  const { value, error, reload } = useLoad((signal) => read(name, signal), []);
  const [ask, setAsk] = useState(null);
  // When it expires, what is shown is read again.
  useEffect(() => {
    if (!(value?.ttl >= 0 && value.ttl < 2 ** 31 - 100)) return undefined;
    const timer = setTimeout(reload, value.ttl + 50);
    return () => clearTimeout(timer);
  }, [value]);
  const move = (command, done) => async (to) => {
    const target = fromAddress(to);
    if (target === '') throw new Error('A name is needed.');
    if ((await call([command, name, target])) === 0) throw new Error('There is a key of this name already.');
    notify(done);
    changed();
    setQuery({ key: toAddress(target) }, { replace: false });
  };
  const remove = async () => {
    if (!(await confirmed(`The key ${short(name)} will be deleted.`, 'Delete it'))) return;
    try {
      await call(['UNLINK', name]);
      changed();
      close();
    } catch (error) {
      notify(error, 'error');
    }
  };
  const refresh = () => (reload(), changed());
  const asks = {
    Rename: { label: 'New name', initial: toAddress(name), action: move('RENAMENX', 'The key is renamed.') },
    Duplicate: { label: 'Name of the copy', initial: typeof name === 'string' ? toAddress(`${name}-copy`) : toAddress(name), action: move('COPY', 'The key is copied.') },
    'Set expiry': { label: 'Seconds, or a time such as 1h30m; empty: no expiry', initial: value?.ttl > 0 ? String(value.ttl / 1000) : '', action: async (text) => (await setExpiry(name, text), reload()) },
  };
  // What is being edited stays when the key is gone.
  const kind = useRef();
  if (value && value.type !== 'none') kind.current = value.type;
  const View = Object.hasOwn(VIEWS, kind.current ?? '') ? VIEWS[kind.current] : undefined;
  return html`<header class="key">
      <h2>${short(name, 1000)}</h2>
      <button class="quiet" aria-label="Close the key" onClick=${close}>×</button>
    </header>
    ${error && html`<p class="error" role="alert">${error.message}</p>`}
    ${value && html`<p class="faint">${value.type === 'ReJSON-RL' ? 'json' : value.type}${value.encoding ? ` (${display(value.encoding)})` : ''} · ${duration(value.ttl)} · ${size(value.bytes)}</p>`}
    ${value && value.type !== 'none' && html`<p class="row wrap">${Object.keys(asks).map((title) => html`<button class="quiet small" onClick=${() => setAsk(title)}>${title}</button>`)}
      <button class="quiet small" onClick=${reload}>Reload</button><button class="danger small" onClick=${remove}>Delete</button></p>`}
    ${value?.type === 'none' && html`<p>There is no such key now. It expired, or was deleted.${View ? ' Below is what was read before.' : ''}</p>`}
    ${View && html`<${View} key=${kind.current} name=${name} changed=${refresh} />`}
    ${value && !View && value.type !== 'none' && html`<p>There is no view for values of the type ${display(value.type)}; the <a href=${link('commands', { db: location.value.query.db })}>command line</a> reads them.</p>`}
    ${ask && html`<${Ask} key=${ask} title=${ask} ...${asks[ask]} close=${() => setAsk(null)} />`}`;
}

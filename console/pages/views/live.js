// What happens now: commands, requests to the functions, messages.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { call, database, follow, readEvents, request, segment, session } from '../lib/store.js';
import { short } from '../lib/bytes.js';
import { write } from '../lib/json.js';
import { duration } from '../lib/keys.js';
import { link, location, setQuery } from '../lib/router.js';
import { Copy, notify, Tabs } from '../lib/ui.js';

const KEPT = 2000;
const SHOWN = 200;

/** Follows a stream; what comes is drawn four times a second, however much it is. */
function useStream(open, inputs) {
  const [, draw] = useState(0);
  const state = useRef({ lines: [], count: 0, paused: false });
  const it = state.current;
  useEffect(() => {
    const abort = new AbortController();
    Object.assign(it, { lines: [], count: 0, error: null, ended: false });
    /** Something came, if not a line. */
    const touch = () => {
      it.count++;
      if (it.ended) Object.assign(it, { error: null, ended: false });
    };
    const add = (line) => {
      touch();
      if (it.paused) return;
      it.lines.push(line);
      if (it.lines.length > 2 * KEPT) it.lines.splice(0, it.lines.length - KEPT);
    };
    // A stream that ends, or breaks, is opened again.
    const read = async () => {
      while (!abort.signal.aborted) {
        let error = null;
        it.opened = performance.now();
        await open(add, abort.signal, touch).catch((reason) => (error = reason));
        if (abort.signal.aborted) return;
        Object.assign(it, { error, ended: true });
        if (error?.status >= 400 && error.status < 500) return;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    };
    read();
    let seen = '';
    const timer = setInterval(() => {
      const now = `${it.count} ${it.ended} ${it.error?.message}`;
      if (seen !== now) draw((seen = now));
    }, 250);
    return () => (clearInterval(timer), abort.abort());
  }, inputs);
  return { ...it, pause: (paused) => ((it.paused = paused), draw(Math.random())), clear: () => ((it.lines = []), draw(Math.random())) };
}

function Controls({ stream, filter, setFilter, label, count = stream.count }) {
  return html`<p class="row wrap"><input aria-label=${label} placeholder=${label} value=${filter} onInput=${(event) => setFilter(event.target.value)} />
    <button class="quiet" aria-pressed=${String(stream.paused)} onClick=${() => stream.pause(!stream.paused)}>${stream.paused ? 'Go on' : 'Pause'}</button>
    <button class="quiet" onClick=${stream.clear}>Clear</button>
    <span class="faint" role="status">${count.toLocaleString('en')} since the page was opened${stream.ended ? '; the stream broke and is opened again' : ''}</span></p>
    ${stream.error && html`<p class="error" role="alert">${stream.error.message}</p>`}`;
}

const newest = (lines, matches) => {
  const found = [];
  for (let at = lines.length - 1; at >= 0 && found.length < SHOWN; at--) if (matches(lines[at])) found.push(lines[at]);
  return found;
};

/** A line of MONITOR in its parts. */
function parse(line) {
  const [, time, client, command] = /^(\d+\.\d+) \[(.*?)\] (.*)$/s.exec(line) ?? [null, '', '', line];
  return { time, client, command };
}

function CommandsNow() {
  const { filter = '' } = location.value.query;
  const [draft, setDraft] = useState(filter);
  const counts = useRef({ seen: 0, leftOut: 0 });
  // The server filters: it is asked anew when nothing is typed for a moment.
  useEffect(() => {
    const timer = setTimeout(() => draft === filter || setQuery({ filter: draft }), 300);
    return () => clearTimeout(timer);
  }, [draft]);
  const open = async (add, signal, touch) => {
    counts.current = { seen: 0, leftOut: 0 };
    const search = new URLSearchParams({ filter }).toString();
    const response = await request(`monitor/${segment(database.value)}?${search}`, { signal });
    await readEvents(response, (text) => {
      const { lines, seen, leftOut } = JSON.parse(text);
      counts.current.seen += seen;
      counts.current.leftOut += leftOut;
      lines.forEach(add);
      touch();
    });
  };
  const stream = useStream(open, [database.value, filter]);
  const { seen, leftOut } = counts.current;
  return html`<${Controls} stream=${stream} filter=${draft} setFilter=${setDraft} label="Words of the command, such as set user:1" count=${seen} />
    ${leftOut > 0 && html`<p class="faint" role="status">${leftOut.toLocaleString('en')} were too many to be shown; a filter leaves what is wanted.</p>`}
    <div class="scroll" tabindex="0"><table class="live"><thead><tr><th>Time</th><th>Client</th><th>Command</th></tr></thead><tbody>${newest(stream.lines, () => true).map((line) => {
      const { time, client, command } = parse(line);
      return html`<tr><td>${time && new Date(time * 1000).toISOString().slice(11, 23)}</td><td class="faint">${client}</td><td><code class="value">${short(command, 1000)}</code></td></tr>`;
    })}</tbody></table></div>
    ${seen === 0 && !stream.error && html`<p class="wait">Commands appear here as they come.</p>`}`;
}

let number = 0;

async function followRequests(add, signal) {
  await readEvents(await request('requests', { signal }), (text) => add({ ...JSON.parse(text), number: ++number }));
}

/** What a problem says, and for how long. */
function why({ title, detail, policy, limit, remaining, retry_after_ms: wait }) {
  const left = limit === undefined ? '' : `${remaining ?? 0} of ${limit} left${policy ? ` by the policy ${policy}` : ''}`;
  return [title, detail, left, wait > 0 && `worth trying in ${duration(wait)}`].filter(Boolean).join('; ');
}

function RequestRow({ entry }) {
  const [isOpen, setOpen] = useState(false);
  return html`<tr class=${entry.status >= 400 ? 'gone' : ''}><td>${new Date(entry.at).toISOString().slice(11, 23)}</td>
      <td><button class="leaf" aria-expanded=${String(isOpen)} onClick=${() => setOpen(!isOpen)}>${isOpen ? '▾' : '▸'} ${entry.method} ${short(entry.path, 300)}</button></td>
      <td>${entry.status}</td><td>${entry.code && html`<code>${entry.code}</code>`}${entry.problem && html`<div class="faint">${short(why(entry.problem), 300)}</div>`}</td><td>${entry.millis.toFixed(1)} ms</td><td>${entry.trips.length}</td></tr>
    ${isOpen && html`<tr><td></td><td colspan="5">
      <p class="faint">Request id <code>${entry.id ?? '–'}</code> ${entry.id && html`<${Copy} text=${entry.id} label="Copy the request id" />`}</p>
      ${entry.problem && html`<pre tabindex="0">${short(write(entry.problem, 2), 20_000)}</pre>`}
      ${entry.trips.length === 0 && html`<p class="faint">It sent nothing to the store.</p>`}
      ${entry.trips.map((trip) => html`<p class="faint">${trip.millis.toFixed(1)} ms${trip.error ? `, failed: ${trip.error}` : ''}</p><pre tabindex="0">${short(trip.commands.join('\n'), 20_000)}</pre>`)}
    </td></tr>`}`;
}

function Requests() {
  const [filter, setFilter] = useState('');
  const stream = useStream(followRequests, []);
  const wanted = filter.toLowerCase();
  const entries = newest(stream.lines, (entry) => `${entry.method} ${entry.path} ${entry.status} ${entry.code ?? ''} ${entry.id}`.toLowerCase().includes(wanted));
  return html`<${Controls} stream=${stream} filter=${filter} setFilter=${setFilter} label="Path, status, code or request id" />
    <div class="scroll" tabindex="0"><table class="live"><thead><tr><th>Time</th><th>Request</th><th>Status</th><th>Problem</th><th>Took</th><th>Trips</th></tr></thead>
    <tbody>${entries.map((entry) => html`<${RequestRow} key=${entry.number} entry=${entry} />`)}</tbody></table></div>
    ${stream.count === 0 && !stream.error && html`<p class="wait">Requests to ${session.value.functions.url} appear here as they come.</p>`}`;
}

/** Follows a channel, or a pattern of channels. */
function listen(channel, add, signal) {
  // A part of a path cannot be `..`; a pattern that matches only that can.
  const isDots = /^\.{1,2}$/.test(channel);
  const isPattern = isDots || /[*?[]/.test(channel);
  const wanted = isDots ? channel.replaceAll('.', '[.]') : channel;
  return follow(`${isPattern ? 'psubscribe' : 'subscribe'}/${segment(wanted)}`, (text) => /^p?message,/.test(text) && add(text), { signal });
}

function Messages() {
  const { channel = '*' } = location.value.query;
  const [draft, setDraft] = useState(channel);
  const [filter, setFilter] = useState('');
  const [message, setMessage] = useState({ channel: '', text: '' });
  const stream = useStream((add, signal) => listen(channel, add, signal), [channel, database.value]);
  const publish = async (event) => {
    event.preventDefault();
    try {
      notify(`${await call(['PUBLISH', message.channel, message.text])} heard it.`);
    } catch (error) {
      notify(error, 'error');
    }
  };
  return html`<form class="row" onSubmit=${(event) => (event.preventDefault(), setQuery({ channel: draft }))}>
      <input aria-label="Channel or pattern" value=${draft} onInput=${(event) => setDraft(event.target.value)} /><button>Listen</button></form>
    <form class="row" onSubmit=${publish}><input aria-label="Channel to publish to" placeholder="channel" value=${message.channel} onInput=${(event) => setMessage({ ...message, channel: event.target.value })} />
      <input aria-label="Message" placeholder="message" value=${message.text} onInput=${(event) => setMessage({ ...message, text: event.target.value })} /><button>Publish</button></form>
    <${Controls} stream=${stream} filter=${filter} setFilter=${setFilter} label="Part of the message" />
    <ul class="live">${newest(stream.lines, (line) => line.includes(filter)).map((line) => html`<li><code class="value">${short(line, 2000)}</code></li>`)}</ul>`;
}

export function Live() {
  const { part = 'commands' } = location.value.query;
  const parts = [['commands', 'Commands'], ...(session.value.functions ? [['requests', 'Requests']] : []), ['messages', 'Messages']];
  const View = (part === 'requests' && session.value.functions && Requests) || (part === 'messages' && Messages) || CommandsNow;
  return html`<h1>Live</h1>
    <${Tabs} label="Part" choices=${parts} value=${parts.some(([id]) => id === part) ? part : 'commands'} onChange=${(id) => setQuery({ part: id })} />
    <${View} key=${part} />
    <p class="faint">A value is in <a href=${link('data')}>Data</a>, figures are in <a href=${link('metrics')}>Metrics</a>.</p>`;
}

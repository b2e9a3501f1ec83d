// What a rate limit holds for an identifier: the windows that are counted in the store, and what was fired in them.

import { html, useEffect, useState } from '../../vendor/preact.js';
import { exchange } from '../../lib/functions.js';
import { pipeline, session } from '../../lib/store.js';

/** Windows that are drawn, the present one last. */
const DRAWN = 6;
const WIDTH = 600;
const HEIGHT = 90;

/** Limits by the header `RateLimit-Policy`: `"login";q=5;w=60`. */
const limits = (header = '') => [...header.matchAll(/"((?:[^"\\]|\\.)*)";q=(\d+);w=(\d+)/g)].map(([, name, quota, seconds]) => ({ name, quota: Number(quota), ms: 1000 * seconds }));

/** A look that takes nothing: what is used now, and how much each window holds. */
async function look(identifier, policy) {
  const { answer, headers } = await exchange('GET', 'ratelimit', { query: { identifier, policy } });
  const db = session.value.databases[0].name;
  const found = limits(headers.get('ratelimit-policy'));
  const [{ result: time }] = await pipeline([['TIME']], { db });
  const now = Number(time[0]) * 1000 + Math.floor(time[1] / 1000);
  const all = found.map(({ ms }) => Array.from({ length: DRAWN }, (_, at) => Math.floor(now / ms) - DRAWN + 1 + at));
  const values = await pipeline(found.map((_, at) => ['MGET', ...all[at].map((window) => `ratelimit:${answer.policy}:${identifier}:${window}`)]), { db });
  return { answer, now, ahead: now - Date.now(), limits: found.map((limit, at) => ({ ...limit, windows: all[at].map((window, n) => ({ from: window * limit.ms, used: values[at].result?.[n] == null ? null : Number(values[at].result[n]) })) })) };
}

function Drawing({ limit, now, ahead, shots }) {
  const [first] = limit.windows;
  const step = WIDTH / DRAWN;
  const place = (at) => ((at - first.from) / limit.ms) * step;
  const top = Math.max(limit.quota, ...limit.windows.map(({ used }) => used ?? 0), 1);
  const height = (used) => (used / top) * (HEIGHT - 24);
  const drawn = shots.filter(({ at }) => at + ahead >= first.from);
  const told = limit.windows.map(({ used, from }) => `${new Date(from).toISOString().slice(11, 19)}: ${used ?? 0}`).join(', ');
  return html`<figure class="chart windows"><figcaption>Windows of <strong>${limit.ms / 1000} s</strong>, ${limit.quota.toLocaleString('en')} in each</figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`Used by window, ${told}`}>
      ${limit.windows.map(({ used, from }, at) => html`<g key=${from}><rect x=${at * step + 2} y=${HEIGHT - 18 - height(used ?? 0)} width=${step - 4} height=${height(used ?? 0)} class=${used >= limit.quota ? 'full' : ''} />
        <text x=${at * step + step / 2} y=${HEIGHT - 22 - height(used ?? 0)} text-anchor="middle">${used || ''}</text>
        <text x=${at * step + 2} y=${HEIGHT - 5}>${new Date(from).toISOString().slice(11, 19)}</text></g>`)}
      <line x1="0" x2=${WIDTH} y1=${HEIGHT - 18 - height(limit.quota)} y2=${HEIGHT - 18 - height(limit.quota)} />
      ${drawn.map((shot) => html`<circle cx=${place(shot.at + ahead).toFixed(1)} cy=${HEIGHT - 18} r="3" class=${shot.allowed ? 'yes' : 'no'} />`)}
      <line class="now" x1=${place(now)} x2=${place(now)} y1="0" y2=${HEIGHT - 18} /></svg>
    <span class="faint">The line across is the limit, the other one is now; a dot is a request that was fired here.</span></figure>`;
}

export function Windows({ identifier, policy, shots }) {
  const [seen, setSeen] = useState(null);
  useEffect(() => {
    let timer;
    let current = true;
    const again = async () => {
      const next = document.hidden || identifier === '' ? undefined : await look(identifier, policy).catch((error) => ({ error }));
      if (!current) return;
      if (next) setSeen(next);
      timer = setTimeout(again, 1000);
    };
    again();
    return () => ((current = false), clearTimeout(timer));
  }, []);
  if (!seen) return null;
  if (seen.error) return html`<p class="faint">${seen.error.message}</p>`;
  const counted = seen.limits.filter(({ windows }) => windows.some(({ used }) => used !== null));
  const { remaining, limit } = seen.answer;
  return html`<h2>What the store holds</h2>
    <p>${remaining ?? '–'} of ${limit ?? '–'} are left now.${counted.length === 0 && ' Nothing is counted by windows: the identifier is new, or the policy counts in another way.'}</p>
    ${counted.map((one) => html`<${Drawing} key=${one.name} limit=${one} now=${seen.now} ahead=${seen.ahead} shots=${shots} />`)}`;
}

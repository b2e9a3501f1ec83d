// Fires requests at a rate limit and shows what it says.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { api } from '../../lib/functions.js';
import { notify } from '../../lib/ui.js';
import { Windows } from './windows.js';

const KEPT = 120;

export function Limits() {
  const [form, setForm] = useState({ identifier: 'alice', policy: '', cost: '1', rate: '5' });
  const [shots, setShots] = useState([]);
  const [running, setRunning] = useState(false);
  const [now, setNow] = useState(Date.now());
  const latest = useRef(form);
  latest.current = form;
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const fire = async () => {
    const { identifier, policy, cost } = latest.current;
    const at = Date.now();
    let shot;
    try {
      shot = await api('POST', 'ratelimit', { body: { identifier, ...(policy && { policy }), cost: Number(cost) || 1 } });
    } catch (error) {
      if (error.status !== 429) {
        setRunning(false);
        return notify(error, 'error');
      }
      shot = { allowed: false, ...error.answer };
    }
    setShots((before) => [...before, { ...shot, at }].slice(-KEPT));
  };
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(fire, 1000 / Math.min(50, Math.max(0.2, Number(form.rate) || 1)));
    return () => clearInterval(timer);
  }, [running, form.rate]);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const forget = async () => {
    try {
      await api('DELETE', 'ratelimit', { query: { identifier: form.identifier, policy: form.policy } });
      setShots([]);
    } catch (error) {
      notify(error, 'error');
    }
  };
  const last = shots.at(-1);
  const allowed = shots.filter((shot) => shot.allowed).length;
  const field = (name, label) => html`<label>${label}<input value=${form[name]} onInput=${set(name)} /></label>`;
  return html`<div class="fields">${field('identifier', 'Identifier')}${field('policy', 'Policy (empty: the default)')}${field('cost', 'Cost')}${field('rate', 'Requests a second')}</div>
    <p class="row wrap"><button onClick=${fire}>Fire one</button><button aria-pressed=${String(running)} onClick=${() => setRunning(!running)}>${running ? 'Stop' : 'Fire on'}</button>
      <button class="quiet" onClick=${forget}>Forget what was used</button></p>
    <p role="status">${last ? html`${allowed} allowed, ${shots.length - allowed} refused of the last ${shots.length}.` : 'Nothing was fired yet.'}</p>
    <div class="shots" role="img" aria-label=${`${allowed} allowed, ${shots.length - allowed} refused`}>${shots.map((shot) => html`<i class=${shot.allowed ? 'yes' : 'no'}></i>`)}</div>
    ${last && html`<table class="pairs"><tbody>
      <tr><th scope="row">Answer</th><td>${last.allowed ? 'allowed' : `refused (${last.reason ?? last.code ?? 'limit'})`}</td></tr>
      <tr><th scope="row">Policy</th><td>${last.policy ?? '–'}</td></tr>
      <tr><th scope="row">Left</th><td>${last.remaining ?? '–'} of ${last.limit ?? '–'}${last.limit ? html` <meter min="0" max=${last.limit} value=${last.remaining ?? 0} aria-label="Left"></meter>` : ''}</td></tr>
      <tr><th scope="row">Full again in</th><td>${last.reset_ms ? `${Math.max(0, (last.reset_ms - now) / 1000).toFixed(1)} s` : '–'}</td></tr>
      ${!last.allowed && html`<tr><th scope="row">Worth trying in</th><td>${last.retry_after_ms != null ? `${Math.max(0, (last.at + last.retry_after_ms - now) / 1000).toFixed(1)} s` : '–'}</td></tr>`}
    </tbody></table>`}
    <${Windows} key=${`${form.identifier} ${form.policy}`} identifier=${form.identifier} policy=${form.policy} shots=${shots} />`;
}

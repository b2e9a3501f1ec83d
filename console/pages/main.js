// The frame around every view.

import { html, render, useEffect } from './vendor/preact.js';
import { short } from './lib/bytes.js';
import { duration } from './lib/keys.js';
import { database, session, trouble, watch } from './lib/store.js';
import { nextTheme, theme } from './lib/theme.js';
import { go, link, location } from './lib/router.js';
import { Messages, Question } from './lib/ui.js';
import { Api } from './views/api.js';
import { Blocks } from './views/blocks.js';
import { Chaos } from './views/chaos.js';
import { Commands } from './views/commands.js';
import { Data } from './views/data.js';
import { Live } from './views/live.js';
import { Locked } from './views/locked.js';
import { Metrics } from './views/metrics.js';
import { isOpen, Palette } from './views/palette.js';
import { Start } from './views/start.js';

/** Views in the order of the menu: id, name, component, and what of the session they need. */
const VIEWS = [
  ['start', 'Start', Start],
  ['data', 'Data', Data],
  ['commands', 'Commands', Commands],
  ['live', 'Live', Live],
  ['blocks', 'Building blocks', Blocks, 'functions'],
  ['api', 'API', Api, 'functions'],
  ['metrics', 'Metrics', Metrics],
  ['chaos', 'Chaos', Chaos, 'faults'],
];

const shown = () => VIEWS.filter(([, , , needs]) => !needs || session.value[needs]);

function Menu() {
  const { view, query } = location.value;
  return html`<nav aria-label="Views"><ul>${shown().map(
    ([id, name]) => html`<li><a href=${link(id, { db: query.db })} aria-current=${id === view ? 'page' : undefined}>${name}</a></li>`,
  )}</ul></nav>`;
}

function Databases() {
  const { databases } = session.value;
  if (databases.length < 2) return null;
  return html`<label class="inline">Database
    <select value=${database.value} onChange=${(event) => go(location.value.view, { db: event.target.value })}>
      ${databases.map(({ name }) => html`<option>${name}</option>`)}
    </select></label>`;
}

function Frame() {
  const found = shown().find(([id]) => id === location.value.view);
  const [, name, View] = found ?? ['', 'Not found', NotFound];
  useEffect(() => {
    document.title = `${name} · restis`;
    // On a phone the menu is wider than the page.
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [name]);
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${link('start')}>restis <span class="faint">${session.value.version}</span></a>
      <${Databases} />
      <span class="fill"></span>
      <button class="quiet" onClick=${() => (isOpen.value = true)} aria-keyshortcuts="Control+K">Search <kbd>Ctrl K</kbd></button>
      <button class="quiet" onClick=${nextTheme} aria-label=${`Colours: ${theme.value}`}>${{ system: '◐', light: '☀', dark: '☾' }[theme.value]}</button>
    </header>
    <${Menu} />
    <main id="main" tabindex="-1"><${View} key=${`${location.value.view}/${database.value}`} /></main>
    <${Palette} views=${shown()} />`;
}

// The address holds the state of the view, so the link must not change it.
function skip(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

const NotFound = () => html`<h1>Not found</h1><p>There is no such view. <a href=${link('start')}>Start</a></p>`;

/** What every view must say: restis is away, fails on purpose, or is ahead of time. */
function Notices() {
  const faults = session.value?.faults;
  const ahead = session.value?.clockAheadMs;
  const { db } = location.value.query;
  const isUnknown = session.value && db !== undefined && db !== database.value;
  return html`<div class="notices">${trouble.value && html`<p class="notice error" role="alert">${trouble.value} The page goes on by itself when it is back.</p>`}
    ${isUnknown && html`<p class="notice" role="status">There is no database ${short(db)} here; ${short(database.value)} is shown.</p>`}
    ${faults && faults !== 'off' && html`<p class="notice" role="status">Faults are injected: <code>${faults}</code> <a href=${link('chaos', { db: location.value.query.db })}>Change</a></p>`}
    ${ahead > 0 && html`<p class="notice" role="status">The clock is ${duration(ahead)} ahead. <a href=${link('chaos', { db: location.value.query.db })}>Change</a></p>`}</div>`;
}

function App() {
  const frame = session.value === null ? html`<p class="wait">Connecting…</p>` : session.value === false ? html`<${Locked} />` : html`<${Frame} />`;
  return html`${frame}<${Notices} /><${Messages} /><${Question} />`;
}

render(html`<${App} />`, document.getElementById('app'));
watch();

// The building blocks through the functions: limits, sessions, events, cache.

import { html } from '../vendor/preact.js';
import { session } from '../lib/store.js';
import { location, setQuery } from '../lib/router.js';
import { Tabs } from '../lib/ui.js';
import { Cache } from './blocks/cache.js';
import { Events } from './blocks/events.js';
import { Limits } from './blocks/limits.js';
import { Sessions } from './blocks/sessions.js';

const PARTS = [['limits', 'Rate limits', Limits], ['sessions', 'Sessions', Sessions], ['events', 'Events', Events], ['cache', 'Cache', Cache]];

export function Blocks() {
  const { part = 'limits' } = location.value.query;
  const [id, , View] = PARTS.find(([id]) => id === part) ?? PARTS[0];
  return html`<h1>Building blocks</h1>
    ${!session.value.functions.token && html`<p class="faint">The functions take the token of RESTIS_SERVICE_TOKEN; the console does not know it, so some of this is refused.</p>`}
    <${Tabs} label="Building block" choices=${PARTS} value=${id} onChange=${(id) => setQuery({ part: id })} />
    <${View} key=${id} />`;
}

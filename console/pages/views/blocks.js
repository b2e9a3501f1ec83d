// The building blocks through the functions: limits, sessions, events, webhooks, cache.

import { html } from '../vendor/preact.js';
import { typedToken } from '../lib/functions.js';
import { location, setQuery } from '../lib/router.js';
import { Tabs } from '../lib/ui.js';
import { Cache } from './blocks/cache.js';
import { Events } from './blocks/events.js';
import { Limits } from './blocks/limits.js';
import { Sessions } from './blocks/sessions.js';
import { Work } from './blocks/work.js';
import { ServiceToken } from './token.js';

const PARTS = [['limits', 'Rate limits', Limits], ['sessions', 'Sessions', Sessions], ['events', 'Events', Events], ['work', 'Webhooks and outboxes', Work], ['cache', 'Cache', Cache]];

export function Blocks() {
  const { part = 'limits' } = location.value.query;
  const [id, , View] = PARTS.find(([id]) => id === part) ?? PARTS[0];
  return html`<h1>Building blocks</h1>
    <${ServiceToken} />
    <${Tabs} label="Building block" choices=${PARTS} value=${id} onChange=${(id) => setQuery({ part: id })} />
    <${View} key=${`${id} ${typedToken.value}`} />`;
}

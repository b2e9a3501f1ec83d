// What runs, what to copy, and a first request.

import { html, useEffect, useState } from '../vendor/preact.js';
import { call, database, session } from '../lib/store.js';
import { short } from '../lib/bytes.js';
import { link, location, setQuery } from '../lib/router.js';
import { Code, Copy, Tabs } from '../lib/ui.js';

const LANGUAGES = [
  ['curl', 'curl'],
  ['typescript', 'TypeScript'],
  ['rust', 'Rust'],
  ['python', 'Python'],
  ['redis-cli', 'redis-cli'],
];

/** Questions, and the view that answers each; those of the functions last. */
const WHERE = [
  ['What is in the store?', 'data', 'Data', {}],
  ['Which commands arrive?', 'live', 'Live', {}],
  ['How long do commands take (p95), and which were slow?', 'metrics', 'Metrics', {}],
  ['Why was a request refused?', 'live', 'Live, Requests', { part: 'requests' }, true],
  ['What did an event look like?', 'blocks', 'Building blocks, Events', { part: 'events' }, true],
  ['How does a limit decide?', 'blocks', 'Building blocks, Rate limits', {}, true],
  ['Who is signed in?', 'blocks', 'Building blocks, Sessions', { part: 'sessions' }, true],
  ['What can the functions do?', 'api', 'API', {}, true],
  ['What if the store is slow, away, or it is tomorrow?', 'chaos', 'Chaos', {}, true],
];

/** Shell words in single quotes: nothing in them is read by the shell. */
const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

function snippets({ url, token, redis }) {
  return {
    curl: `curl ${url}/set/greeting/hello -H ${quoted(`Authorization: Bearer ${token}`)}`,
    typescript: `import { Redis } from '@upstash/redis';

const redis = new Redis({ url: ${JSON.stringify(url)}, token: ${JSON.stringify(token)} });
await redis.set('greeting', 'hello');`,
    rust: `use restis::prelude::*;

let redis = Redis::builder(${JSON.stringify(url)}, ${JSON.stringify(token)}).build()?;
redis.set("greeting", "hello").await?;`,
    python: `from upstash_redis import Redis

redis = Redis(url=${JSON.stringify(url)}, token=${JSON.stringify(token)})
redis.set("greeting", "hello")`,
    'redis-cli': redis
      ? `redis-cli -u ${quoted(redis)} SET greeting hello`
      : 'The Redis protocol is off; start restis with --resp 127.0.0.1:6379.',
  };
}

function Secret({ name, value }) {
  const [shown, setShown] = useState(false);
  return html`<tr><th scope="row">${name}</th>
    <td><code class="value">${shown ? value : '•'.repeat(12)}</code></td>
    <td class="actions"><button class="quiet" onClick=${() => setShown(!shown)}>${shown ? 'Hide' : 'Show'}</button>
      <${Copy} text=${value} label=${`Copy ${name}`} /></td></tr>`;
}

function Address({ name, value }) {
  return html`<tr><th scope="row">${name}</th><td><code class="value">${value}</code></td>
    <td class="actions"><${Copy} text=${value} label=${`Copy ${name}`} /></td></tr>`;
}

/** Waits until the key of the first request is there. */
function Arrival() {
  const [seen, setSeen] = useState(null);
  useEffect(() => {
    const timer = setInterval(async () => {
      try {
        const value = await call(['GET', 'greeting']);
        setSeen(value);
      } catch {
        setSeen(null);
      }
    }, 1000);
    return () => clearInterval(timer);
  }, [database.value]);
  return seen == null
    ? html`<p class="wait">Waiting for the key <code>greeting</code>…</p>`
    : html`<p class="arrived" role="status">It arrived: <code>greeting</code> is <code>${short(seen, 80)}</code>.</p>`;
}

export function Start() {
  const { restUrl, redisAddr, functions, databases } = session.value;
  const { token, readOnlyToken } = databases.find((one) => one.name === database.value) ?? {};
  const scheme = restUrl.startsWith('https') ? 'rediss' : 'redis';
  const redis = redisAddr && `${scheme}://default:${encodeURIComponent(token)}@${redisAddr}`;
  const wanted = location.value.query.language;
  const language = LANGUAGES.some(([id]) => id === wanted) ? wanted : 'curl';
  const texts = snippets({ url: restUrl, token, redis });
  return html`<h1>Start</h1>
    <section aria-labelledby="addresses">
      <h2 id="addresses">What runs</h2>
      <table class="pairs"><tbody>
        <${Address} name="UPSTASH_REDIS_REST_URL" value=${restUrl} />
        <${Secret} name="UPSTASH_REDIS_REST_TOKEN" value=${token} />
        ${readOnlyToken && html`<${Secret} name="Token that may only read" value=${readOnlyToken} />`}
        ${redis && html`<${Secret} name="REDIS_URL" value=${redis} />`}
        ${functions && html`<${Address} name="Functions" value=${functions.url} />`}
        ${functions?.token && html`<${Secret} name="RESTIS_SERVICE_TOKEN" value=${functions.token} />`}
      </tbody></table>
    </section>
    <section aria-labelledby="first">
      <h2 id="first">A first request</h2>
      <ol class="steps">
        <li><p>Send it from your terminal or program:</p>
          <${Tabs} label="Language" choices=${LANGUAGES} value=${language} onChange=${(id) => setQuery({ language: id })} />
          <${Code} text=${texts[language]} /></li>
        <li><${Arrival} /></li>
        <li><p>Look at it in <a href=${link('data', { db: location.value.query.db, key: 'greeting' })}>Data</a>, or ask for it in the ${' '}
          <a href=${link('commands', { db: location.value.query.db, command: 'GET greeting' })}>command line</a>.</p></li>
      </ol>
    </section>
    <section aria-labelledby="where">
      <h2 id="where">Where to look</h2>
      <dl class="where">${WHERE.filter(([, , , , needs]) => !needs || functions).map(([question, view, name, query]) => html`<dt>${question}</dt><dd><a href=${link(view, { db: location.value.query.db, ...query })}>${name}</a></dd>`)}</dl>
    </section>`;
}

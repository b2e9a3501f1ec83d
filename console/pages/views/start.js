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
    </section>`;
}

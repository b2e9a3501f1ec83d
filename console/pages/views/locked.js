// What a browser sees that is not in yet.

import { html, useState } from '../vendor/preact.js';
import { openSession, session, unlock } from '../lib/store.js';

export function Locked() {
  const [token, setToken] = useState('');
  const [wrong, setWrong] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    try {
      if (await unlock(token.trim())) {
        session.value = null;
        await openSession();
      } else {
        setWrong('This token opens nothing here.');
      }
    } catch (error) {
      session.value = false;
      setWrong(error.message);
    }
  };
  return html`<main class="locked">
    <h1>restis</h1>
    <p>Open the link that <code>restis</code> printed when it started. It works once; after that this browser is known until restis stops. A restis that was started again printed a new link.</p>
    <form onSubmit=${submit}>
      <label for="token">Or show a token of a database (<code>UPSTASH_REDIS_REST_TOKEN</code>):</label>
      <input id="token" type="password" autocomplete="off" value=${token} aria-describedby="wrong"
        onInput=${(event) => setToken(event.target.value)} />
      <button>Open</button>
      <p id="wrong" class="error" role="alert">${wrong}</p>
    </form>
  </main>`;
}

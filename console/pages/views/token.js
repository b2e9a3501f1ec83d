// Asks for the service token, where it is in the environment of the functions and the console does not know it.

import { html } from '../vendor/preact.js';
import { typedToken, typeToken } from '../lib/functions.js';
import { session } from '../lib/store.js';

export function ServiceToken() {
  if (session.value.functions.token) return null;
  return html`<p class="row wrap"><label for="service-token">Token of RESTIS_SERVICE_TOKEN, which the functions ask for:</label>
    <input id="service-token" type="password" autocomplete="off" value=${typedToken.value} onChange=${(event) => typeToken(event.target.value.trim())} /></p>`;
}

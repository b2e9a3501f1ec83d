// Calls the functions, which the same origin serves, with the service token of `restis dev`.

import { exact, write } from './json.js';
import { CallError, session } from './store.js';
import { signal } from '../vendor/preact.js';

/** A service token that somebody typed, where the console has none; it lasts as long as the tab. */
export const typedToken = signal(stored());

function stored() {
  try {
    return sessionStorage.getItem('restis.service-token') ?? '';
  } catch {
    return '';
  }
}

export function typeToken(token) {
  typedToken.value = token;
  try {
    sessionStorage.setItem('restis.service-token', token);
  } catch {
    // It lasts until the page is left.
  }
}

/** The service token that requests of the page carry; empty where there is none. */
export const serviceToken = () => session.value.functions?.token || typedToken.value;

/** The JSON and the headers of an answer; throws the problem that a function tells. */
export async function exchange(method, path, { query = {}, body } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(given).toString();
  const token = serviceToken();
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body !== undefined && { 'content-type': 'application/json' }) };
  // Without cookies: a session of the browser must not decide.
  const options = { method, headers, credentials: 'omit', body: body === undefined ? undefined : write(body) };
  const response = await fetch(`/api/${path}${search && `?${search}`}`, options).catch(() => {
    throw new CallError('The functions do not answer.', 0);
  });
  const answer = response.status === 204 ? null : await response.text().then(exact).catch(() => null);
  if (!response.ok) {
    const error = new CallError([answer?.title, answer?.detail].filter(Boolean).join(': ') || `status ${response.status}`, response.status);
    throw Object.assign(error, { code: answer?.code, answer });
  }
  return { answer, headers: response.headers };
}

/** The JSON of an answer. */
export const api = async (...args) => (await exchange(...args)).answer;

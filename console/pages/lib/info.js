// What INFO says, as names and values.

import { call } from './store.js';

/** `{ used_memory: '1024', … }` of every section. */
export async function info(options) {
  const text = String(await call(['INFO', 'everything'], options));
  return Object.fromEntries(text.split(/\r?\n/).filter((line) => line.includes(':') && !line.startsWith('#')).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** `a=1,b=2` as an object of numbers. */
export const numbers = (text = '') => Object.fromEntries(text.split(',').map((pair) => pair.split('=')).filter(([, value]) => value !== undefined).map(([name, value]) => [name, Number(value)]));

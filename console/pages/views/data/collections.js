// Hashes, lists, sets and sorted sets.

import { html } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { identity } from '../../lib/bytes.js';
import { duration } from '../../lib/keys.js';
import { Rows } from './rows.js';

const PAGE = 100;

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]]);
const isSame = (one, other) => (one === null || other === null ? one === other : identity(one) === identity(other));

/** A page of HSCAN, SSCAN or ZSCAN. */
async function scan(command, name, cursor = '0', signal) {
  const [next, flat] = await call([command, name, cursor, 'COUNT', PAGE], { signal });
  return { flat, next: String(next) === '0' ? null : String(next) };
}

export function Hash({ name, changed }) {
  const page = async (cursor, signal) => {
    const { flat, next } = await scan('HSCAN', name, cursor, signal);
    const fields = pairs(flat);
    const names = fields.map(([field]) => field);
    // Older servers know no expiry of fields.
    const ttls = names.length ? await call(['HPTTL', name, 'FIELDS', names.length, ...names], { signal }).catch(() => []) : [];
    return { rows: fields.map(([field, value], at) => ({ id: field, name: field, value, extra: ttls[at] > 0 ? duration(ttls[at]) : '–' })), next };
  };
  const save = async (row, text, base) => {
    const now = await call(['HGET', name, row.id]);
    if (!isSame(now, base)) return now;
    const ttl = (await call(['HPTTL', name, 'FIELDS', 1, row.id]).catch(() => [-1]))[0];
    await call(['HSET', name, row.id, text]);
    // HSET takes the expiry of a field away.
    if (ttl > 0) await call(['HPEXPIRE', name, ttl, 'FIELDS', 1, row.id]);
  };
  return html`<${Rows} heads=${['Field', 'Value', 'Expires in']} page=${page} save=${save} changed=${changed}
    fields=${[['field', 'Field'], ['value', 'Value']]} add=${async ({ field = '', value = '' }) => void (await call(['HSET', name, field, value]))}
    remove=${(row) => call(['HDEL', name, row.id])} />`;
}

// An item is removed by its place: it is marked first, unless another one has taken the place.
const REMOVE = `if redis.call('LINDEX', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('LSET', KEYS[1], ARGV[1], ARGV[3])
return redis.call('LREM', KEYS[1], 1, ARGV[3])`;

export function List({ name, changed }) {
  const page = async (from = 0, signal) => {
    const [items, length] = await Promise.all([call(['LRANGE', name, from, from + PAGE - 1], { signal }), call(['LLEN', name], { signal })]);
    return { rows: items.map((value, at) => ({ id: String(from + at), name: String(from + at), value })), next: from + PAGE < length ? from + PAGE : null };
  };
  const save = async (row, text, base) => {
    const now = await call(['LINDEX', name, row.id]);
    if (!isSame(now, base)) return now;
    await call(['LSET', name, row.id, text]);
  };
  const remove = async (row) => {
    if (!(await call(['EVAL', REMOVE, 1, name, row.id, row.value, `removed:${crypto.randomUUID()}`]))) throw new Error('The list changed meanwhile; reload it.');
  };
  return html`<${Rows} heads=${['Place', 'Value']} page=${page} save=${save} changed=${changed} remove=${remove}
    fields=${[['value', 'Value, at the end']]} add=${async ({ value = '' }) => void (await call(['RPUSH', name, value]))} />`;
}

export function SetValue({ name, changed }) {
  const page = async (cursor, signal) => {
    const { flat, next } = await scan('SSCAN', name, cursor, signal);
    return { rows: flat.map((member) => ({ id: member, value: member })), next };
  };
  return html`<${Rows} heads=${['Member']} page=${page} changed=${changed} remove=${(row) => call(['SREM', name, row.id])}
    fields=${[['member', 'Member']]} add=${async ({ member = '' }) => void (await call(['SADD', name, member]))} />`;
}

export function SortedSet({ name, changed }) {
  const page = async (from = 0, signal) => {
    const flat = await call(['ZRANGE', name, from, from + PAGE - 1, 'WITHSCORES'], { signal });
    const rows = pairs(flat).map(([member, score]) => ({ id: member, name: member, value: String(score) }));
    return { rows, next: rows.length === PAGE ? from + PAGE : null };
  };
  const save = async (row, text, base) => {
    const now = await call(['ZSCORE', name, row.id]);
    if (now === null || base === null ? now !== base : Number(now) !== Number(base)) return now === null ? null : String(now);
    await call(['ZADD', name, text, row.id]);
  };
  return html`<${Rows} heads=${['Member', 'Score']} page=${page} save=${save} changed=${changed} remove=${(row) => call(['ZREM', name, row.id])}
    fields=${[['member', 'Member'], ['score', 'Score']]} add=${async ({ member = '', score = '' }) => void (await call(['ZADD', name, score, member]))} />`;
}

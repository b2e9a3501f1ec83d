// What the store says about its commands: names, what writes, what is dangerous, the syntax.

import { call, database } from './store.js';

const tables = new Map();

/** Commands by name in capitals: `{ flags, categories }`. Read once a database. */
export async function commandTable() {
  const db = database.value;
  if (!tables.has(db)) {
    const table = new Map();
    // Who may not ask for the table can run commands all the same.
    for (const [name, , flags, , , , categories = []] of await call(['COMMAND']).catch(() => [])) {
      table.set(String(name).toUpperCase(), { flags, categories });
    }
    if (table.size > 0) tables.set(db, table);
  }
  return tables.get(db) ?? new Map();
}

const find = (args) => tables.get(database.value)?.get(String(args[0] ?? '').toUpperCase());

/** Whether a command may change data; what is unknown may. */
export const isWrite = (args) => {
  const command = find(args);
  return !command || command.flags.includes('write') || command.categories.includes('@scripting');
};

// `KEYS` and `INFO` are dangerous to Redis, but lose nothing.
const HARMLESS = ['KEYS', 'INFO', 'SORT', 'SORT_RO', 'ROLE', 'LASTSAVE', 'MONITOR', 'SLOWLOG', 'LATENCY', 'CLIENT', 'RESTORE'];

const DANGEROUS = ['FLUSHALL', 'FLUSHDB', 'SHUTDOWN', 'DEBUG', 'CONFIG', 'SWAPDB', 'ACL', 'REPLICAOF'];

/** Whether a command deserves a question first. */
export const isDangerous = (args) => {
  const name = String(args[0] ?? '').toUpperCase();
  return DANGEROUS.includes(name) || (!HARMLESS.includes(name) && (find(args)?.categories ?? []).includes('@dangerous'));
};

function form(argument) {
  const inner = argument.arguments?.map(form);
  let text;
  if (argument.type === 'oneof') text = inner.join(' | ');
  else if (argument.type === 'block') text = inner.join(' ');
  else if (argument.type === 'pure-token') text = argument.token;
  else text = argument.display_text ?? argument.name;
  if (argument.token && argument.type !== 'pure-token') text = `${argument.token} ${text}`;
  const flags = argument.flags ?? [];
  if (flags.includes('multiple')) text = `${text} [${text} …]`;
  return flags.includes('optional') ? `[${text}]` : text;
}

const object = (list) => {
  if (!Array.isArray(list)) return list ?? {};
  return Object.fromEntries(Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at], list[2 * at + 1]]));
};

function argument(list) {
  const it = object(list);
  return { ...it, arguments: it.arguments?.map(argument) };
}

/** The syntax of a command, and what it does. */
export async function syntax(name) {
  const docs = object((await call(['COMMAND', 'DOCS', name]))?.[1]);
  const args = (docs.arguments ?? []).map((one) => form(argument(one))).join(' ');
  return docs.summary ? `${name} ${args} – ${docs.summary}` : '';
}

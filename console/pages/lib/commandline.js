// The words of a command line, as redis-cli reads them, and what it becomes elsewhere.

import { toBytes } from './bytes.js';

const SIMPLE = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };

/** Splits a line into arguments; texts, or bytes where `\xHH` made what is no UTF-8. Throws on open quotes. */
export function words(line) {
  const found = [];
  let at = 0;
  while (at < line.length) {
    if (/\s/.test(line[at])) {
      at++;
      continue;
    }
    const quote = line[at] === '"' || line[at] === "'" ? line[at++] : null;
    const bytes = [];
    for (;;) {
      const letter = line[at];
      if (letter === undefined) {
        if (quote) throw new Error(`The quote ${quote} is not closed.`);
        break;
      }
      if (quote ? letter === quote : /\s/.test(letter)) break;
      const hex = quote === '"' && /^\\x([0-9a-fA-F]{2})/.exec(line.slice(at, at + 4));
      if (hex) {
        bytes.push(parseInt(hex[1], 16));
        at += 4;
      } else if (quote && letter === '\\' && line[at + 1] !== undefined) {
        const escaped = line[at + 1];
        const plain = quote === '"' ? (SIMPLE[escaped] ?? escaped) : escaped === "'" ? "'" : `\\${escaped}`;
        bytes.push(...toBytes(plain));
        at += 2;
      } else {
        const whole = String.fromCodePoint(line.codePointAt(at));
        bytes.push(...toBytes(whole));
        at += whole.length;
      }
    }
    if (quote) {
      at++;
      if (line[at] !== undefined && !/\s/.test(line[at])) throw new Error('A space must follow a closed quote.');
    }
    const value = Uint8Array.from(bytes);
    try {
      found.push(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value));
    } catch {
      found.push(value);
    }
  }
  return found;
}

/** One argument as redis-cli takes it. */
export function word(value) {
  if (typeof value === 'string' && /^[\w.:/@*{}-]+$/.test(value)) return value;
  let text = '';
  for (const byte of toBytes(value)) {
    const letter = String.fromCharCode(byte);
    if (letter === '"' || letter === '\\') text += `\\${letter}`;
    else text += byte >= 0x20 && byte < 0x7f ? letter : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${text}"`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The command for another tool. Bytes that are no text have no form in JSON: `null`. */
export function copyAs(kind, args, { url, token }) {
  if (kind === 'redis-cli') return args.map(word).join(' ');
  if (args.some((arg) => arg instanceof Uint8Array)) return null;
  const json = JSON.stringify(args);
  if (kind === 'curl') return `curl ${url} -H ${quoted(`Authorization: Bearer ${token}`)} -d ${quoted(json)}`;
  if (kind === 'typescript') return `await redis.exec(${json});`;
  // JSON's escapes for control characters are written with braces in Rust.
  const rust = args.map((arg) => JSON.stringify(arg).replace(/\\u([0-9a-f]{4})/g, '\\u{$1}').replace(/\\[bf]/g, (it) => (it === '\\b' ? '\\u{8}' : '\\u{c}')));
  const [name, ...rest] = rust;
  return `let reply: Reply = redis.command(${name})${rest.map((arg) => `.arg(${arg})`).join('')}.await?;`;
}

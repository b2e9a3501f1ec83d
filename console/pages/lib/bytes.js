// Bytes of keys and values: base64 from the server, text where they are UTF-8.

// The mark at the beginning of a text is a part of it.
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Bytes of a base64 text. */
export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return bytes;
}

/** A string where the bytes are UTF-8, else the bytes. */
export function toText(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return bytes;
  }
}

/** The bytes of a string or of bytes. */
export const toBytes = (value) => (value instanceof Uint8Array ? value : encoder.encode(String(value)));

// Control characters, and what changes the direction of the text around it or is not seen.
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g;

/** How redis-cli would print it, without quotes: `\x00` for what is no printable text. */
export function display(value) {
  if (!(value instanceof Uint8Array)) return String(value).replace(UNSEEN, escaped);
  let text = '';
  for (const byte of value) {
    text += byte >= 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : escaped(byte);
  }
  return text;
}

function escaped(letter) {
  const code = typeof letter === 'string' ? letter.charCodeAt(0) : letter;
  return code < 0x80 || letter === code ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** The beginning of it, where only one line has room. */
export function short(value, most = 200) {
  const text = display(typeof value === 'string' || value instanceof Uint8Array ? value.slice(0, 4 * most) : value);
  return text.length > most ? `${text.slice(0, most)}…` : text || '(empty)';
}

/** A key for maps and lists: equal bytes give equal texts, whatever they are. */
export const identity = (value) => (value instanceof Uint8Array ? `b:${display(value)}` : `t:${value}`);

/** Lines of offset, hexadecimal and text, as `hexdump -C` prints them. */
export function hexdump(value, most = 4096) {
  const bytes = toBytes(value).subarray(0, most);
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex}  ${text}`);
  }
  return lines.join('\n');
}

/** 1,536 → `1.5 kB`. */
export function size(bytes) {
  if (bytes == null) return '–';
  const units = ['B', 'kB', 'MB', 'GB'];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at++;
  }
  return `${at === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

// JSON as it is written: numbers of any length, and members in their order, stay what they are.

/** The words of a JSON text. A pattern would run out of stack on a long string. */
function* tokens(text) {
  const word = /[^\s{}[\],:"]+/y;
  let at = 0;
  while (at < text.length) {
    const start = at;
    if (text[at] === '"') {
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
      at++;
    } else if ('{}[],:'.includes(text[at])) {
      at++;
    } else if (/\s/.test(text[at])) {
      at++;
      continue;
    } else {
      word.lastIndex = at;
      at += word.exec(text)[0].length;
    }
    yield text.slice(start, at);
  }
}

/** The text with lines and indents. `null` if it is no JSON. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  let out = '';
  let depth = 0;
  let before = '';
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const token of tokens(text)) {
    if (token === '}' || token === ']') {
      depth--;
      out += before === '{' || before === '[' ? token : line() + token;
    } else {
      if (before === '{' || before === '[' || before === ',') out += line();
      out += token === ':' ? ': ' : token;
      if (token === '{' || token === '[') depth++;
    }
    before = token;
  }
  return out;
}

/** The value, to be shown: numbers that JavaScript would round are BigInt. */
export function exact(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => (typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source) ? BigInt(context.source) : value));
}

/** The JSON of a value that `exact` read. */
export const write = (value, indent) => JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? JSON.rawJSON(String(one)) : one), indent);

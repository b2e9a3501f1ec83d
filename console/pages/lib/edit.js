// What a text field does to a value: it writes every end of a line as one letter.

/** A value as it is edited: `{ base, text }`; `null` where a text field would change more than what is typed. */
export function toDraft(base, text = base) {
  const mixed = /\r(?!\n)/.test(text) || (text.includes('\r') && /(^|[^\r])\n/.test(text));
  return mixed ? null : { base, text: text.replaceAll('\r\n', '\n'), end: text.includes('\r\n') ? '\r\n' : '\n' };
}

/** The value that a draft stands for. */
export const fromDraft = ({ text, end }) => text.replaceAll('\n', end);

// The Markdown of descriptions as elements: paragraphs, lists, code, emphasis and links. What is no such thing is text.

import { html } from '../vendor/preact.js';

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/[^\s()]+)\)/g;

/** A line as elements. */
export function inline(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, strong, label, address] = match;
    found.push(text.slice(at, match.index));
    if (code !== undefined) found.push(html`<code>${code}</code>`);
    else if (strong !== undefined) found.push(html`<strong>${strong}</strong>`);
    else found.push(html`<a href=${address} rel="noreferrer">${inline(label)}</a>`);
    at = match.index + whole.length;
  }
  return [...found, text.slice(at)];
}

/** Paragraphs and lists, between which a line is empty. */
export function markdown(text = '') {
  return text.split(/\n\s*\n/).filter((block) => block.trim()).map((block) => {
    const lines = block.split('\n');
    if (lines.every((line) => /^\s*[-*] /.test(line))) return html`<ul>${lines.map((line) => html`<li>${inline(line.replace(/^\s*[-*] /, ''))}</li>`)}</ul>`;
    return html`<p>${inline(lines.join(' '))}</p>`;
  });
}

// Holds a document beside the page, which asks for one branch after another: a large one must not stop it.

import { exact, write } from './json.js';

/** Letters of a value that is no branch. */
const LETTERS = 5000;

let root;

const isBranch = (value) => value !== null && typeof value === 'object';

function told(name, value) {
  if (isBranch(value)) return { name, isList: Array.isArray(value), size: Object.keys(value).length };
  const text = write(value);
  return { name, text: text.length > LETTERS ? `${text.slice(0, LETTERS)}…` : text };
}

/** The root by itself, or the first children of the branch that a path of names leads to. */
function answer({ text, path, most }) {
  if (text !== undefined) {
    root = exact(text);
    return told('$', root);
  }
  const branch = path.reduce((value, name) => value[name], root);
  return Object.keys(branch).slice(0, most).map((name) => told(name, branch[name]));
}

onmessage = ({ data: { id, ...question } }) => {
  try {
    postMessage({ id, value: answer(question) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};

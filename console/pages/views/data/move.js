// Writes keys to a file and reads them back: one line of JSON a key, the value as DUMP gives it.

import { html, useState } from '../../vendor/preact.js';
import { call } from '../../lib/store.js';
import { fromBase64, toBytes, toText } from '../../lib/bytes.js';
import { walk } from '../../lib/keys.js';
import { Dialog } from '../../lib/ui.js';

const toBase64 = (value) => {
  let raw = '';
  const bytes = toBytes(value);
  for (let at = 0; at < bytes.length; at += 0x8000) raw += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(raw);
};

export function Move({ match, close }) {
  const [pattern, setPattern] = useState(match);
  const [replace, setReplace] = useState(false);
  const [status, setStatus] = useState('');
  const [busy, setBusy] = useState(false);
  const run = (action) => async (...args) => {
    setBusy(true);
    try {
      await action(...args);
    } catch (error) {
      setStatus(error.message);
    }
    setBusy(false);
  };
  const save = run(async () => {
    const lines = [];
    let skipped = 0;
    const keys = [];
    await walk({ match: pattern }, (page) => keys.push(...page));
    for (let at = 0; at < keys.length; at += 20) {
      const page = keys.slice(at, at + 20);
      const dumped = await Promise.all(page.map(async (key) => [key, await call(['DUMP', key]), await call(['PTTL', key])]));
      for (const [key, value, ttl] of dumped) {
        if (value === null) skipped++;
        else lines.push(JSON.stringify({ key: toBase64(key), expires_at: ttl > 0 ? Date.now() + ttl : null, dump: toBase64(value) }));
      }
      setStatus(`${Math.min(at + 20, keys.length)} of ${keys.length} keys`);
    }
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([lines.map((line) => `${line}\n`).join('')], { type: 'application/x-ndjson' }));
    link.download = 'keys.ndjson';
    link.click();
    URL.revokeObjectURL(link.href);
    setStatus(`${lines.length} keys are in the file${skipped ? `; ${skipped} were gone when they were read` : ''}.`);
  });
  const load = run(async (event) => {
    const [file] = event.target.files;
    event.target.value = '';
    let done = 0;
    const failed = [];
    for (const [at, line] of (await file.text()).split('\n').entries()) {
      if (!line.trim()) continue;
      try {
        const { key, expires_at: expiresAt, dump } = JSON.parse(line);
        const name = toText(fromBase64(key));
        const left = expiresAt === null ? 0 : expiresAt - Date.now();
        if (expiresAt !== null && left <= 0) throw new Error('it has expired since');
        if (replace) await call(['UNLINK', name]);
        await call(['RESTORE', name, left, fromBase64(dump)]);
        done++;
      } catch (error) {
        failed.push(`line ${at + 1}: ${error.message}`);
      }
      if (done % 50 === 0) setStatus(`${done} keys`);
    }
    setStatus([`${done} keys are restored.`, ...failed.slice(0, 10), failed.length > 10 ? `and ${failed.length - 10} more` : ''].join('\n'));
  });
  return html`<${Dialog} title="Export and import" onClose=${close}><div class="prompt">
    <label for="move-pattern">Export keys that match</label>
    <div class="row"><input id="move-pattern" placeholder="*" value=${pattern} onInput=${(event) => setPattern(event.target.value)} /><button disabled=${busy} onClick=${save}>Export</button></div>
    <label for="move-file">Import a file that was exported here</label><input id="move-file" type="file" accept=".ndjson" disabled=${busy} onChange=${load} />
    <label class="inline"><input type="checkbox" checked=${replace} onChange=${(event) => setReplace(event.target.checked)} /> Replace keys that exist</label>
    <pre role="status">${status}</pre>
  </div><//>`;
}

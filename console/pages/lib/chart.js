// A line over time, as SVG.

import { html } from '../vendor/preact.js';

const WIDTH = 300;
const HEIGHT = 60;

/** Numbers, oldest first, as a line from zero; `format` writes the newest and the highest. */
export function Chart({ title, values, format = (value) => Math.round(value).toLocaleString('en') }) {
  const known = values.filter((value) => value != null);
  const top = Math.max(...known, 1e-9);
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, at) => (value == null ? null : `${(at * step).toFixed(1)},${(HEIGHT - (value / top) * (HEIGHT - 4) - 2).toFixed(1)}`));
  const newest = known.at(-1);
  return html`<figure class="chart"><figcaption>${title} <strong>${newest === undefined ? '–' : format(newest)}</strong></figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`${title}, newest ${newest === undefined ? 'unknown' : format(newest)}, highest ${known.length ? format(top) : 'unknown'}`}>
      <polyline points=${points.filter(Boolean).join(' ')} fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke" /></svg>
    <span class="faint">highest ${known.length ? format(top) : '–'}</span></figure>`;
}

/** Numbers, oldest first, as bars of one line. */
export function Spark({ values, label }) {
  const top = Math.max(...values, 1e-9);
  const step = 120 / values.length;
  return html`<svg class="spark" viewBox="0 0 120 20" preserveAspectRatio="none" role="img" aria-label=${`${label}: ${values.join(', ')}`}>${values.map((value, at) => html`<rect x=${at * step} y=${20 - (value / top) * 20} width=${step * 0.8} height=${(value / top) * 20} />`)}</svg>`;
}

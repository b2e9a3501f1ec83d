// Light, dark, or what the system says.

import { signal, effect } from '../vendor/preact.js';

const CHOICES = ['system', 'light', 'dark'];
let stored;
try {
  stored = localStorage.getItem('restis.theme');
} catch {
  // A browser that keeps nothing follows the system.
}

export const theme = signal(CHOICES.includes(stored) ? stored : 'system');

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem('restis.theme', theme.value);
  } catch {
    // The choice lasts until the page is left.
  }
});

export const nextTheme = () => (theme.value = CHOICES[(CHOICES.indexOf(theme.value) + 1) % CHOICES.length]);

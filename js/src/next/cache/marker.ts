import { randomBytes } from "node:crypto";

/**
 * The marker of a tag, as `restis::cache` keeps it: 12 characters of the last removal and 12 of the last
 * expiry, dots where there was none. An entry remembers what the markers were before its load.
 *
 * Halves that a Rust function writes are random. Those written here begin with `~` and have the time of
 * the store, so that also an entry that does not remember a tag, since another page asked, can be
 * judged; `+` begins that of a marker that was made for an entry to remember: nothing was invalidated.
 */
export type Marker = string;

const HALF = 12;
const DOTS = ".".repeat(HALF);
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** No time is set for what is stale to end. */
const NEVER = 64 ** 4 - 1;

function write(value: number, digits: number): string {
  let text = "";
  for (let rest = value; text.length < digits; rest = Math.floor(rest / 64)) text = DIGITS[rest % 64] + text;
  return text;
}

const read = (text: string): number => [...text].reduce((value, digit) => value * 64 + DIGITS.indexOf(digit), 0);

const unique = (): string => write(randomBytes(3).readUIntBE(0, 3), 4);

/** Everything before `now` (of the store, unix ms) is gone. */
export const removed = (now: number): Marker => `~${write(now, 7)}${unique()}${DOTS}`;

/** The half that says: everything before `now` is stale, and gone after so many seconds (194 days at most). */
export const expired = (now: number, seconds?: number): string =>
  `~${write(now, 7)}${write(seconds === undefined ? NEVER : Math.min(Math.max(0, Math.floor(seconds)), NEVER - 1), 4)}`;

/** A marker for an entry to remember. */
export const created = (now: number): Marker => `+${write(now, 7)}${unique()}${DOTS}`;

/** A marker whose halves are dots. */
export const NONE: Marker = DOTS + DOTS;

/** The offset of the half of the last expiry. */
export const EXPIRY_AT = HALF;

export type Validity = "valid" | "stale" | "gone";

const removal = (marker: Marker): string => marker.slice(0, HALF);
const expiry = (marker: Marker): string => marker.slice(HALF);
const isMarker = (marker: Marker): boolean => marker.length === 2 * HALF;

/** What is stale is gone when its time is over. */
function stale(half: string, now: number): Validity {
  if (half[0] !== "~") return "stale";
  const seconds = read(half.slice(8));
  return seconds !== NEVER && read(half.slice(1, 8)) + seconds * 1000 <= now ? "gone" : "stale";
}

/** What the marker of now says of an entry that remembers one. */
export function judge(seen: Marker, marker: Marker | null, now: number): Validity {
  if (marker === null) return seen === NONE ? "valid" : "gone";
  if (!isMarker(marker)) return "gone";
  if (marker === seen) return "valid";
  return removal(marker) === removal(seen) ? stale(expiry(marker), now) : "gone";
}

/** What it says of an entry that remembers none and was loaded at a time of the store. */
export function judgeUnseen(marker: Marker | null, loadedAt: number, now: number): Validity {
  if (marker === null) return "valid";
  if (!isMarker(marker)) return "gone";
  // A half without a time may be from after the load.
  const after = (half: string) => half !== DOTS && half[0] !== "+" && (half[0] !== "~" || read(half.slice(1, 8)) >= loadedAt);
  if (after(removal(marker))) return "gone";
  return after(expiry(marker)) ? stale(expiry(marker), now) : "valid";
}

/** Whether it is known when each half was written. */
export const isDated = (marker: Marker): boolean => isMarker(marker) && [removal(marker), expiry(marker)].every((half) => /^[.+~]/.test(half));

/** What an entry remembers that was loaded before the last expiry. */
export const beforeExpiry = (marker: Marker): Marker => removal(marker) + DOTS;

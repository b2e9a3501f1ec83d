import { createHash } from "node:crypto";
import { beforeExpiry, created, EXPIRY_AT, expired, isDated, judge, judgeUnseen, NONE, removed, type Marker, type Validity } from "./marker.js";
import type { Command, Rest } from "./rest.js";

/** An entry as it is kept: a line of JSON, then the value as base64. */
export interface Kept {
  tags: string[];
  /** What the marker of each tag was before the load; of soft tags too. */
  seen: Record<string, Marker>;
  /** When the load began, by the clock of the store (unix ms). */
  loadedAt: number;
  /** What the handler keeps beside. */
  meta: Record<string, unknown>;
  body: Buffer;
}

/** An entry that was read, and what its tags say. */
export interface Found extends Kept {
  validity: Exclude<Validity, "gone">;
  /** Milliseconds since its load began, by the clock of the store. */
  ageMs: number;
}

/** What was known before a load. */
interface Load {
  /** When it was read, by the clock of this process. */
  local: number;
  /** By that of the store. */
  now: number;
  markers: Map<string, Marker | null>;
}

export interface KeptOptions {
  /** The prefix of the cache, as `CACHE_PREFIX` of the functions. */
  prefix: string;
  /** The longest time that an entry is kept, in milliseconds; `Infinity` for none. */
  maxLifetimeMs: number;
  /** The largest entry, as it is kept. */
  maxBytes: number;
}

const FORMAT = "1";
const MAX_REMEMBERED = 2_000;
const MAX_LOADS = 8;
/** A load begins right after its read; an older read is not of this load. */
const MAX_READ_BEFORE_MS = 30_000;
/** How long it is remembered which tags a key has whose entry could not be kept. */
const LEARNED_MS = 86_400_000;
/** Tags of this kind name parameters of a route; nobody invalidates them. */
const isPrivate = (tag: string): boolean => tag.startsWith("_N_RP_");

/** The time of this process that Next.js takes for entries. */
export const localNow = (): number => performance.timeOrigin + performance.now();

/** Entries in the store, and the markers of their tags. */
export class Entries {
  #loads = new Map<string, Load[]>();
  #tags = new Map<string, string[]>();

  constructor(
    private readonly rest: Rest,
    private readonly options: KeptOptions,
  ) {}

  /**
   * Reads an entry; what it finds is remembered as what was known before the load that may follow.
   * `loadsHits`: a load may follow an entry that is valid, too.
   */
  async read(key: string, softTags: string[], loadsHits = true): Promise<Found | undefined> {
    const guessed = [...new Set([...(this.#tags.get(key) ?? []), ...softTags])].filter((tag) => !isPrivate(tag));
    const [time, values] = await this.rest.run(["TIME"], ["MGET", this.#entryKey(key), this.#learnedKey(key), ...guessed.map(this.#markerKey)]);
    const [text, learned, ...read] = values as (string | null)[];
    const markers = new Map(guessed.map((tag, at) => [tag, read[at] ?? null]));
    const kept = parse(text ?? null);
    const tags = kept?.tags ?? learned?.split("\n") ?? [];
    const missing = tags.filter((tag) => !markers.has(tag) && !isPrivate(tag));
    if (missing.length) {
      const [more] = (await this.rest.run(["MGET", ...missing.map(this.#markerKey)])) as (string | null)[][];
      missing.forEach((tag, at) => markers.set(tag, more?.[at] ?? null));
    }
    if (tags.length) remember(this.#tags, key, tags);
    const now = millis(time);
    const found = kept && judged(kept, softTags, markers, now);
    if (loadsHits || found?.validity !== "valid") {
      const loads = this.#loads.get(key) ?? [];
      remember(this.#loads, key, [...loads.slice(1 - MAX_LOADS), { local: localNow(), now, markers }]);
    }
    return found;
  }

  /**
   * Keeps an entry whose load began at `startedAt` (of this process; `undefined` for the oldest load that
   * was read for), unless one of its tags was invalidated since. `ttlMs` `Infinity` keeps it without end.
   */
  async write(key: string, tags: string[], startedAt: number | undefined, meta: Record<string, unknown>, body: Buffer, ttlMs: number): Promise<void> {
    const before = this.#load(key, startedAt);
    const own = [...new Set(tags)].filter((tag) => !isPrivate(tag));
    const commands: Command[] = [["TIME"]];
    if (own.length) commands.push(["MGET", ...own.map(this.#markerKey)]);
    const [time, values] = await this.rest.run(...commands);
    const now = millis(time);
    const loadedAt = now - Math.max(0, localNow() - (startedAt ?? before?.local ?? localNow()));
    const ttl = Math.min(ttlMs, this.options.maxLifetimeMs);
    const seen: Record<string, Marker> = {};
    const more: Command[] = [];
    for (const [at, tag] of own.entries()) {
      const marker = (values as (string | null)[])[at] ?? null;
      if (marker === null && (!before?.markers.has(tag) || before.markers.get(tag) === null)) {
        seen[tag] = created(now);
        more.push(["SET", this.#markerKey(tag), seen[tag], "NX", ...expiresIn(ttl)]);
        continue;
      }
      const remembered = remembers(before?.markers.get(tag), marker, before?.now ?? loadedAt, now);
      if (!remembered) {
        // The next load knows which markers to look at before it begins.
        remember(this.#tags, key, own);
        await this.rest.run(["SET", this.#learnedKey(key), own.join("\n"), "PX", LEARNED_MS]);
        return;
      }
      seen[tag] = remembered;
      // A marker that ends before the entry would void it.
      more.push(ttl === Infinity ? ["PERSIST", this.#markerKey(tag)] : ["PEXPIRE", this.#markerKey(tag), Math.ceil(ttl) + 60_000, "GT"]);
    }
    for (const [tag, marker] of before?.markers ?? []) seen[tag] ??= marker ?? NONE;
    const text = `${FORMAT}|${JSON.stringify({ tags, seen, loadedAt, meta })}\n${body.toString("base64")}`;
    if (text.length > this.options.maxBytes) return;
    await this.rest.run(...more, ["SET", this.#entryKey(key), text, ...expiresIn(ttl)]);
    remember(this.#tags, key, own);
  }

  /** Removes all that has one of these tags; with `durations` it is stale now and gone after `expire` seconds. */
  async invalidate(tags: string[], durations?: { expire?: number }): Promise<void> {
    const [time] = await this.rest.transaction([["TIME"]]);
    const now = millis(time);
    const { maxLifetimeMs } = this.options;
    const ends = (tag: string): Command => (maxLifetimeMs === Infinity ? ["PERSIST", tag] : ["PEXPIRE", tag, Math.ceil(maxLifetimeMs) + 3_600_000]);
    const keys = [...new Set(tags)].map(this.#markerKey);
    for (let at = 0; at < keys.length; at += 200) {
      const some = keys.slice(at, at + 200);
      await this.rest.transaction(
        durations
          ? some.flatMap((key) => [["SET", key, NONE, "NX"], ["SETRANGE", key, EXPIRY_AT, expired(now, durations.expire)], ends(key)])
          : some.flatMap((key) => [["SET", key, removed(now)], ends(key)]),
      );
    }
  }

  #load(key: string, startedAt: number | undefined): Load | undefined {
    const loads = this.#loads.get(key) ?? [];
    const until = startedAt ?? localNow();
    const recent = loads.filter(({ local }) => local <= until && local > until - MAX_READ_BEFORE_MS);
    if (startedAt !== undefined) return recent.at(-1);
    // Each load is written once.
    const [first] = recent;
    remember(this.#loads, key, loads.filter((load) => load !== first));
    return first;
  }

  #entryKey(key: string): string {
    return `${this.options.prefix}#next:${short(key)}`;
  }

  #learnedKey(key: string): string {
    return `${this.options.prefix}#next-tags:${short(key)}`;
  }

  #markerKey = (tag: string): string => `${this.options.prefix}#tag:${tag}`;
}

/** An entry and what its tags say; `undefined` when it must not be served. */
function judged(kept: Kept, softTags: string[], markers: Map<string, Marker | null>, now: number): Found | undefined {
  let validity: Found["validity"] = "valid";
  for (const tag of [...kept.tags.filter((tag) => !isPrivate(tag)), ...softTags]) {
    const [marker, seen] = [markers.get(tag) ?? null, kept.seen[tag]];
    const says = seen === undefined ? judgeUnseen(marker, kept.loadedAt, now) : judge(seen, marker, now);
    if (says === "gone") return undefined;
    if (says === "stale") validity = "stale";
  }
  return { ...kept, validity, ageMs: Math.max(0, now - kept.loadedAt) };
}

/** What an entry remembers of a tag; `undefined` when it was, or may have been, removed during the load. */
function remembers(before: Marker | null | undefined, marker: Marker | null, loadedAt: number, now: number): Marker | undefined {
  if (before === undefined) {
    // The load began before anybody knew of this tag.
    if (marker === null || !isDated(marker)) return undefined;
    const says = judgeUnseen(marker, loadedAt, now);
    return says === "gone" ? undefined : says === "stale" ? beforeExpiry(marker) : marker;
  }
  if (before === null) return marker !== null && judgeUnseen(marker, loadedAt, now) === "valid" ? marker : undefined;
  return judge(before, marker, now) === "gone" ? undefined : before;
}

const expiresIn = (ttlMs: number): Command => (ttlMs === Infinity ? [] : ["PX", Math.max(1, Math.ceil(ttlMs))]);

function millis(time: unknown): number {
  const [seconds, micros] = time as [string, string];
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

/** Long keys are named by their digest. */
const short = (key: string): string => (key.length > 200 ? `#sha256.${createHash("sha256").update(key).digest("hex")}` : key);

function remember<V>(of: Map<string, V>, key: string, value: V): void {
  of.delete(key);
  of.set(key, value);
  if (of.size > MAX_REMEMBERED) of.delete(of.keys().next().value!);
}

function parse(text: string | null): Kept | undefined {
  const end = text?.indexOf("\n") ?? -1;
  if (!text?.startsWith(`${FORMAT}|`) || end < 0) return undefined;
  try {
    return { ...JSON.parse(text.slice(2, end)), body: Buffer.from(text.slice(end + 1), "base64") };
  } catch {
    return undefined;
  }
}

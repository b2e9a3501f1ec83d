import { readFileSync } from "node:fs";
import { join } from "node:path";
import { entriesOf, warnOnce, type CacheHandlerOptions } from "./cache/handler.js";
import { localNow, type Entries } from "./cache/stored.js";
import { fromBytes, toBytes } from "./cache/values.js";

/** How long a page lives: until it is made anew, and until it is served no more, in seconds. */
interface CacheControl {
  revalidate: number | false;
  expire?: number | undefined;
}

interface Value {
  kind: string;
  headers?: Record<string, unknown>;
  tags?: string[];
  revalidate?: number;
}

/** What is read of Next.js' contexts. */
interface Context {
  kind?: string;
  fetchCache?: boolean;
  tags?: string[];
  softTags?: string[];
  cacheControl?: CacheControl;
}

interface Answer {
  lastModified: number;
  value: unknown;
  cacheControl?: CacheControl;
}

/** Pages of old builds and addresses that are fetched no more end some day. */
const MOST_MS = 30 * 86_400_000;

let shared: Entries | undefined;

/**
 * The handler for `cacheHandler` of `next.config`: pages (ISR), route handlers and `fetch`, in the store
 * that the environment names.
 *
 * Pages belong to a build; what `fetch` got does not.
 */
export default class IncrementalCacheHandler {
  #entries: Entries | undefined;
  #build: string | undefined;
  readonly #directory: string | undefined;

  constructor(context: { serverDistDir?: string } = {}, options: CacheHandlerOptions = {}) {
    this.#directory = context.serverDistDir;
    // Next.js makes a handler for each request.
    this.#entries = options.store ? entriesOf(options) : (shared ??= entriesOf(options));
    if (!this.#entries) warnOnce();
  }

  async get(key: string, context: Context): Promise<Answer | null> {
    try {
      const name = this.#name(key, context.kind === "FETCH");
      const softTags = [...(context.tags ?? []), ...(context.softTags ?? [])];
      const found = name && (await this.#entries?.read(name, softTags, false));
      if (!found) return null;
      const value = fromBytes(found.body);
      const cacheControl = found.meta.cacheControl as CacheControl | undefined;
      // Its age is by the clock of the store.
      const lastModified = localNow() - found.ageMs;
      if (found.validity === "valid") return { lastModified, value, ...(cacheControl && { cacheControl }) };
      // As if its time to be made anew were over, but not its time to be served.
      if ((value as Value | null)?.kind === "FETCH") return { lastModified: 1, value };
      return { lastModified: Math.min(lastModified, localNow() - 1_001), value, cacheControl: { ...cacheControl, revalidate: 1 } };
    } catch {
      return null;
    }
  }

  async set(key: string, value: Value | null, context: Context): Promise<void> {
    try {
      // Images are many and large, and are on the disk already.
      const name = value?.kind === "IMAGE" ? undefined : this.#name(key, !!context.fetchCache);
      if (!name || !this.#entries) return;
      const header = value?.headers?.["x-next-cache-tags"];
      const tags = typeof header === "string" ? header.split(",") : [...(value?.tags ?? []), ...(context.tags ?? [])];
      const { cacheControl } = context;
      const ttlMs = Math.min((cacheControl?.expire ?? Infinity) * 1000, MOST_MS);
      await this.#entries.write(name, tags, undefined, { cacheControl }, toBytes(value), ttlMs);
    } catch {
      // What is not kept is made again.
    }
  }

  async revalidateTag(tags: string | string[], durations?: { expire?: number }): Promise<void> {
    await this.#entries?.invalidate([tags].flat(), durations);
  }

  resetRequestCache(): void {}

  /** The name of an entry; none for a page of a build that is not finished. */
  #name(key: string, isFetch: boolean): string | undefined {
    if (isFetch) return `fetch:${key}`;
    try {
      this.#build ??= readFileSync(join(this.#directory ?? "", "..", "BUILD_ID"), "utf8").trim();
    } catch {
      return undefined;
    }
    return `page:${this.#build}:${key}`;
  }
}

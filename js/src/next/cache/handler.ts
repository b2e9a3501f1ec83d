import { gunzipSync, gzipSync } from "node:zlib";
import { Entries, localNow, type KeptOptions } from "./stored.js";
import { Rest, type StoreAddress } from "./rest.js";

/** An entry of `use cache`, as Next.js 16 has it; times in seconds, `timestamp` in milliseconds. */
export interface CacheEntry {
  value: ReadableStream<Uint8Array>;
  tags: string[];
  stale: number;
  timestamp: number;
  expire: number;
  revalidate: number;
}

/** What `cacheHandlers` of `next.config` takes. */
export interface CacheHandler {
  get(cacheKey: string, softTags: string[]): Promise<CacheEntry | undefined>;
  set(cacheKey: string, pendingEntry: Promise<CacheEntry>): Promise<void>;
  refreshTags(): Promise<void>;
  getExpiration(tags: string[]): Promise<number>;
  updateTags(tags: string[], durations?: { expire?: number }): Promise<void>;
}

export interface CacheHandlerOptions extends Partial<KeptOptions> {
  /** The store; `UPSTASH_REDIS_REST_URL` and `_TOKEN`, or `KV_REST_API_URL` and `_TOKEN`, when absent. */
  store?: StoreAddress;
  /** Milliseconds that a request to the store may take: 1,500 when absent. */
  timeoutMs?: number;
}

/** What is larger is compressed. */
const COMPRESS_ABOVE = 1024;

/** The store of the environment, if it names one. */
export function storeOfEnvironment(): StoreAddress | undefined {
  const { UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN, KV_REST_API_URL, KV_REST_API_TOKEN } = process.env;
  const url = UPSTASH_REDIS_REST_URL ?? KV_REST_API_URL;
  const token = UPSTASH_REDIS_REST_TOKEN ?? KV_REST_API_TOKEN;
  return url && token ? { url, token } : undefined;
}

/** Entries of the store that options or the environment name. */
export function entriesOf({ store = storeOfEnvironment(), timeoutMs, prefix, maxLifetimeMs, maxBytes }: CacheHandlerOptions): Entries | undefined {
  if (!store) return undefined;
  return new Entries(new Rest(store, timeoutMs), {
    prefix: prefix ?? process.env.CACHE_PREFIX ?? "cache:",
    maxLifetimeMs: maxLifetimeMs ?? Infinity,
    maxBytes: maxBytes ?? 1 << 20,
  });
}

let warned = false;
/** Says once that nothing is cached. */
export function warnOnce(): void {
  if (!warned) console.warn("restis: neither UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN nor KV_REST_API_URL and KV_REST_API_TOKEN are set: nothing is cached");
  warned = true;
}

/** Makes a handler of `use cache` that keeps entries in a store over REST. */
export function createCacheHandler(options: CacheHandlerOptions = {}): CacheHandler {
  let made: Entries | undefined;
  // The environment is read when it is complete, not when the module is loaded.
  const entries = () => (made ??= entriesOf(options)) ?? warnOnce();
  /** Sets that run, by key. Neither entries nor streams are kept. */
  const running = new Map<string, Promise<void>>();
  const maxBytes = options.maxBytes ?? 1 << 20;

  async function write(cacheKey: string, pendingEntry: Promise<CacheEntry>): Promise<void> {
    const { value, tags, stale, timestamp, expire, revalidate } = await pendingEntry;
    const to = expire > 0 ? entries() : undefined;
    // JSON knows no infinity.
    const finite = (seconds: number) => (Number.isFinite(seconds) ? seconds : null);
    const bytes = to && (await collect(value, maxBytes * 8));
    if (!to || !bytes) return void value.cancel().catch(() => {});
    const zipped = bytes.length > COMPRESS_ABOVE;
    const meta = { stale: finite(stale), expire: finite(expire), revalidate: finite(revalidate), zipped };
    await to.write(cacheKey, tags, timestamp, meta, zipped ? gzipSync(bytes) : bytes, expire * 1000);
  }

  return {
    async get(cacheKey, softTags) {
      try {
        await running.get(cacheKey);
        const found = await entries()?.read(cacheKey, softTags);
        if (!found) return undefined;
        const { stale, expire, revalidate, zipped } = found.meta as Record<string, number | boolean | null>;
        const seconds = (of: unknown) => (of as number | null) ?? Infinity;
        return {
          value: streamOf(zipped ? gunzipSync(found.body) : found.body),
          tags: found.tags,
          stale: seconds(stale),
          expire: seconds(expire),
          revalidate: found.validity === "stale" ? -1 : seconds(revalidate),
          // The clock of whoever stored it may be off: its age is by that of the store.
          timestamp: localNow() - found.ageMs,
        };
      } catch {
        // What throws here is an error of the page.
        return undefined;
      }
    },
    async set(cacheKey, pendingEntry) {
      const set = write(cacheKey, pendingEntry).catch(() => {});
      running.set(cacheKey, set);
      await set;
      if (running.get(cacheKey) === set) running.delete(cacheKey);
    },
    // Each `get` reads the markers of its entry: there is nothing to read ahead.
    refreshTags: async () => {},
    // `get` checks soft tags itself.
    getExpiration: async () => Infinity,
    async updateTags(tags, durations) {
      await entries()?.invalidate(tags, durations);
    },
  };
}

/** The bytes of a stream; `undefined` when there are more than allowed. It rejects when the stream does. */
async function collect(stream: ReadableStream<Uint8Array>, most: number): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return Buffer.concat(parts);
      size += value.length;
      if (size > most) return undefined;
      parts.push(value);
    }
  } finally {
    reader.releaseLock();
  }
}

function streamOf(bytes: Buffer): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes));
      controller.close();
    },
  });
}

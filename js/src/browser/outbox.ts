import type { SyncAnswer } from "../api/types.gen.js";
import type { NewEvent, Placed, StoredEvent } from "../calls.js";
import { isRestisError } from "../error.js";
import { exchange } from "../exchange.js";
import { Attempts } from "./attempts.js";
import { Grants, type GrantSource } from "./grant.js";
import { inDatabase, inMemory, type Meta, type Queued, type Store } from "./store.js";
import { alone, join, locked, type Tabs } from "./tabs.js";
import { isVisible, watchVisibility } from "./visibility.js";

/**
 * What an {@link Outbox} does at the moment.
 *
 * - `idle`: all is sent, or nobody has started it.
 * - `sending`: a request is on its way.
 * - `waiting`: the network, the functions or the store are away; it is tried again for ever.
 * - `denied`: no grant, or none that is accepted; tried again in minutes, or by `retry()`.
 * - `stopped`: the functions refuse the request itself (`error` says why); `retry()` tries again.
 */
export type OutboxState = "idle" | "sending" | "waiting" | "denied" | "stopped";

/** What is shown of an outbox; a new object with every change. */
export interface OutboxStatus {
  readonly state: OutboxState;
  /** How many events wait to be sent, those of other tabs too. */
  readonly pending: number;
  /** Whether events survive a reload; else they are in memory. */
  readonly durable: boolean;
  /** The last failure, until an attempt succeeds. */
  readonly error?: unknown;
}

export interface OutboxOptions {
  /** Whose outbox it is, such as the user's id: the subject of its grants. */
  subject: string;
  /** The route that gives a grant with `publish`, such as `/auth/grant`, or a function. */
  grant: GrantSource;
  /** Where the functions are; the page's own origin when absent. */
  url?: string;
  organisation?: string;
  /** An event was refused for good and is deleted: tell the user. */
  onRejected?(event: NewEvent, detail: string): void | Promise<void>;
  /**
   * Others' events since the last time, oldest first; `reset` says to load the whole state first. The
   * next ones come after its promise. Only one tab is called: keep what it makes in a shared place.
   */
  onMissed?(events: StoredEvent[], of: { reset: boolean }): void | Promise<void>;
  /** Missed events of these types only. */
  types?: string[];
  /** Events are kept in memory, since the browser stores nothing; `console.warn` when absent. */
  onWarning?(message: string, cause: unknown): void;
}

const MAX_EVENTS = 100;
/** Most characters of a request, unless one event has more. */
const MAX_CHARACTERS = 400_000;
const MAX_OWN = 500;

/**
 * Events that are kept until the functions have taken them: offline, across reloads, by one tab at a
 * time, each stored once.
 *
 * The algorithm is that of the API reference, "Offline clients".
 */
export class Outbox {
  #grants: Grants;
  #attempts: Attempts;
  #name: string;
  #status: OutboxStatus = { state: "idle", pending: 0, durable: true };
  #listeners = new Set<() => void>();
  #stop: AbortController | undefined;
  #tabs: Tabs = alone;
  #opened: Promise<Store> | undefined;
  /** Takes what the database does not. */
  #memory: Store = inMemory();
  #memoryCount = 0;
  #running = false;
  #again = false;
  #most = MAX_EVENTS;

  constructor(private readonly options: OutboxOptions) {
    this.#grants = new Grants(options.grant);
    this.#attempts = new Attempts(this.#grants, 1_000, 300_000);
    this.#name = `restis:outbox:${JSON.stringify([options.url, options.organisation, options.subject])}`;
  }

  /** What is shown of it. */
  get status(): OutboxStatus {
    return this.#status;
  }

  /** Calls `listener` after every change of `status`, and starts sending; gives what ends that. */
  subscribe(listener: () => void): () => void {
    const own = () => listener();
    this.#listeners.add(own);
    this.start();
    return () => void this.#listeners.delete(own);
  }

  /** Keeps an event, or several in this order; resolves with their ids once they are stored. */
  async add(events: NewEvent | readonly NewEvent[]): Promise<string[]> {
    const list = (events instanceof Array ? events : [events]) as NewEvent[];
    const named = list.map((event) => ({ ...event, id: event.id ?? crypto.randomUUID() }));
    const store = await this.#store();
    try {
      // What is in memory is older, and goes first.
      await (this.#memoryCount ? this.#memory : store).add(named);
    } catch (error) {
      this.#warn("the browser stores no more: what is not sent is lost with the page", error);
      await this.#memory.add(named);
    }
    this.start();
    await this.#changed();
    return named.map(({ id }) => id);
  }

  /** The oldest events that wait to be sent, 100 at most, such as to show them; those of other tabs too. */
  async waiting(): Promise<NewEvent[]> {
    const stores = new Set([await this.#store(), this.#memory]);
    const kept = await Promise.all([...stores].map((store) => store.read(MAX_EVENTS)));
    return kept.flatMap(({ events }) => events.map(({ event }) => event)).slice(0, MAX_EVENTS);
  }

  /** Sends what is kept, now and whenever the network or the page comes back. */
  start(): void {
    if (!this.#stop) {
      this.#stop = new AbortController();
      const { signal } = this.#stop;
      globalThis.addEventListener?.("online", () => this.#now(), { signal });
      signal.addEventListener("abort", watchVisibility(() => isVisible() && this.#now()));
      this.#tabs = join(this.#name, () => void this.#count().then((count) => count && this.#sync()));
      void this.#count();
    }
    this.#sync();
  }

  /** Tries again at once, such as after a sign-in. */
  retry(): void {
    this.#attempts.retry();
    this.start();
  }

  /** Stops sending; what is kept stays. */
  close(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#tabs.close();
    this.#tabs = alone;
  }

  #store(): Promise<Store> {
    return (this.#opened ??= (async () => {
      try {
        return await inDatabase(this.#name);
      } catch (error) {
        this.#warn("the browser stores nothing: what is not sent is lost with the page", error);
        return this.#memory;
      }
    })());
  }

  #sync(): void {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    void this.#loop().finally(() => (this.#running = false));
  }

  /** Does not wait for the end of a pause. */
  #now(): void {
    this.#attempts.wake();
    this.#sync();
  }

  async #loop(): Promise<void> {
    for (let signal; (signal = this.#stop?.signal) && this.#again; ) {
      this.#again = false;
      try {
        await locked(this.#name, () => this.#round(signal!), signal);
        this.#attempts.succeeded();
        this.#set({ state: "idle", error: undefined });
      } catch (error) {
        if (signal.aborted) break;
        const { state, waitMs, lasting } = this.#attempts.judge(error);
        this.#set({ state: lasting ? "stopped" : state, error });
        if (lasting) break;
        this.#again = true;
        await this.#attempts.pause(waitMs, signal);
      }
    }
  }

  /** Sends all that is kept and takes all that was missed. */
  async #round(signal: AbortSignal): Promise<void> {
    const durable = await this.#store();
    await this.#drain(durable, !!this.options.onMissed, signal);
    if (durable !== this.#memory) await this.#drain(this.#memory, false, signal);
  }

  async #drain(store: Store, pulls: boolean, signal: AbortSignal): Promise<void> {
    for (let more = true; more && !signal.aborted; ) {
      const read = await store.read(this.#most);
      const events = fitting(read.events);
      if (!events.length && !pulls) break;
      if (events.length) this.#set({ state: "sending" });
      let answer: SyncAnswer;
      try {
        answer = await this.#send(read.meta, events, pulls, signal);
      } catch (error) {
        if (!isRestisError(error) || error.status !== 413 || !events.length) throw error;
        this.#most = Math.max(1, events.length >> 1);
        if (events.length === 1) await this.#settle(store, read.meta, events, [{ number: events[0]!.number, status: "rejected", detail: error.message }]);
        continue;
      }
      const meta = await this.#settle(store, read.meta, events, answer.results);
      if (pulls) await this.#missed(store, meta, answer.missed as { events: Placed[]; cursor: string; reset: boolean });
      more = events.length < read.count || (pulls && answer.missed.has_more) || answer.results.some(({ status }) => /gap|fenced/.test(status));
    }
  }

  async #send(meta: Meta, events: Queued[], pulls: boolean, signal: AbortSignal): Promise<SyncAnswer> {
    const { url, organisation, types } = this.options;
    const body = {
      client: meta.client,
      epoch: 1,
      organisation,
      types,
      after: pulls ? meta.cursor : undefined,
      ...(events.length && { first: events[0]!.number, events: events.map(({ event }) => event) }),
    };
    const token = await this.#grants.get();
    return (await exchange<SyncAnswer>({ url, token }, { method: "POST", path: "/api/events/sync", body, signal, timeoutMs: 30_000 })).data;
  }

  /** Does what the verdict of each event says. */
  async #settle(store: Store, meta: Meta, events: Queued[], results: SyncAnswer["results"]): Promise<Meta> {
    const done: number[] = [];
    const own = [...(meta.own ?? [])];
    let stop: string | undefined;
    for (const { number, status, detail } of results) {
      const { event } = events.find((one) => one.number === number) ?? {};
      if (!event || !/^(accepted|duplicate|rejected)$/.test(status)) {
        stop = status;
        break;
      }
      // Told before it is deleted, so that a closed tab does not swallow it.
      if (status === "rejected") await this.options.onRejected?.(event, detail ?? "");
      done.push(number);
      own.push(event.id);
    }
    const change = { own: own.slice(-MAX_OWN) };
    await store.settle(done, change);
    if (done.length) await this.#changed();
    // The functions expect numbers that are gone, or another copy of this outbox went on. What was
    // stored is known by its id.
    if (stop === "gap" || stop === "fenced") await store.restart();
    else if (stop) throw new Error(stop);
    return { ...meta, ...change };
  }

  async #missed(store: Store, meta: Meta, page: { events: Placed[]; cursor: string; reset: boolean }): Promise<void> {
    const events = page.events.map(({ event }) => event).filter(({ id }) => !meta.own?.includes(id));
    // A new client has no state yet: it is loaded after the place is known.
    const reset = page.reset || meta.cursor === undefined;
    if (reset || events.length) await this.options.onMissed!(events, { reset });
    if (page.cursor !== meta.cursor) await store.settle([], { cursor: page.cursor });
  }

  /** Tells other tabs and counts. */
  async #changed(): Promise<void> {
    this.#tabs.post("changed");
    await this.#count();
  }

  async #count(): Promise<number> {
    const store = await this.#store();
    this.#memoryCount = (await this.#memory.read(1)).count;
    const pending = this.#memoryCount + (store === this.#memory ? 0 : (await store.read(1)).count);
    this.#set({ pending, durable: store.durable && !this.#memoryCount });
    return pending;
  }

  #set(change: Partial<OutboxStatus>): void {
    const next = { ...this.#status, ...change };
    if ((Object.keys(next) as (keyof OutboxStatus)[]).every((key) => next[key] === this.#status[key])) return;
    this.#status = next;
    for (const listener of [...this.#listeners]) listener();
  }

  #warn(message: string, cause: unknown): void {
    if (this.options.onWarning) this.options.onWarning(message, cause);
    else console.warn(`restis: ${message}`, cause);
  }
}

/** The oldest events that fit into a request; one at least. */
function fitting(events: Queued[]): Queued[] {
  let size = 0;
  const end = events.findIndex(({ event }, at) => (size += JSON.stringify(event).length) > MAX_CHARACTERS && at > 0);
  return end < 0 ? events : events.slice(0, end);
}

import type { StoredEvent } from "../calls.js";
import { pause } from "../pause.js";
import { Attempts } from "./attempts.js";
import { catchUp, follow, type Reading } from "./connection.js";
import { isUpTo } from "./cursor.js";
import { Grants, type GrantSource } from "./grant.js";
import type { SseMessage } from "./sse.js";
import { alone, join, type Tabs } from "./tabs.js";
import { isVisible, watchVisibility } from "./visibility.js";

/**
 * What an {@link EventStream} does at the moment.
 *
 * - `idle`: nobody subscribes, or the page is in the background for long.
 * - `connecting`: for the first time.
 * - `live`: events arrive as they happen.
 * - `outage`: connected, but the store is away; nothing is missing afterwards.
 * - `waiting`: the connection is lost; it is tried again.
 * - `denied`: no grant, or none that is accepted; tried again in minutes, or by `retry()`.
 */
export type StreamState = "idle" | "connecting" | "live" | "outage" | "waiting" | "denied";

/** An event as a subscriber gets it. */
export interface LiveEvent<T = unknown> extends StoredEvent<T> {
  /** Its place; absent for an event that is kept nowhere. */
  cursor?: string;
}

/** What a subscriber wants to hear; each member is optional. */
export interface Subscriber {
  event?(event: LiveEvent): void;
  /** Events are missing: load the state anew; the stream goes on after `cursor`. */
  reset?(of: { reason: string; cursor: string }): void;
  /** An event that cannot be read, or is too large, was passed over. */
  unreadable?(of: { cursor?: string }): void;
  state?(state: StreamState): void;
}

export interface EventStreamOptions {
  /** Where the functions are; the page's own origin when absent. */
  url?: string;
  /** The route that gives a grant, such as `/auth/grant`, or a function. */
  grant?: GrantSource;
  /** The history of an organisation. */
  organisation?: string;
  /** Event types: `a.b`, everything below `a.*`; all that the grant allows when absent. */
  types?: readonly string[];
  /** The place to go on from, such as one that came with the state; the end when absent. */
  after?: string;
  /**
   * Who reads, such as the user's id: tabs with the same one share a connection. Without it each tab
   * has its own, since tabs may belong to different users.
   */
  subject?: string;
  /** Milliseconds in the background after which the tab does not keep the connection: 60,000 when absent. */
  hiddenMs?: number;
}

/** What tabs tell each other. */
type TabMessage =
  | { kind: "hello" }
  | { kind: "state"; state: StreamState; at: string | undefined }
  | { kind: "message"; before: string | undefined; message: SseMessage };

const MAX_QUEUED = 1_000;

/**
 * The live events of a history: one connection, however many subscribers and tabs there are.
 *
 * It connects with the first subscriber, goes on from its cursor after every loss, with a new grant
 * where one ends, and misses nothing: what cannot be read on is told by `reset`.
 */
export class EventStream {
  #grants: Grants;
  #attempts: Attempts;
  #subscribers = new Set<Subscriber>();
  #state: StreamState = "idle";
  #cursor: string | undefined;
  #stop: AbortController | undefined;
  #tabs: Tabs = alone;
  #leads = false;
  #queue: { before: string | undefined; message: SseMessage }[] = [];
  #draining = false;

  constructor(private readonly options: EventStreamOptions = {}) {
    this.#grants = new Grants(options.grant);
    this.#attempts = new Attempts(this.#grants, 500, 30_000);
    this.#cursor = options.after;
  }

  get state(): StreamState {
    return this.#state;
  }

  /** The place up to which events were given to subscribers. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Hears events until the function that it gives is called. */
  subscribe(subscriber: Subscriber): () => void {
    const own = { ...subscriber };
    this.#subscribers.add(own);
    if (!this.#stop) void this.#run((this.#stop = new AbortController()).signal);
    return () => {
      // A component that is mounted again at once keeps the connection.
      if (this.#subscribers.delete(own)) setTimeout(() => this.#subscribers.size || this.close(), 0);
    };
  }

  /** Tries again at once, such as after a sign-in. */
  retry(): void {
    this.#attempts.retry();
  }

  /** Ends the connection; the next subscriber opens one that goes on from the cursor. */
  close(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#set("idle");
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { subject, url = "", organisation, types } = this.options;
    const name = `restis:events:${JSON.stringify([url, organisation, types, subject])}`;
    const tabs = subject === undefined ? alone : join(name, (message: TabMessage) => this.#hear(message));
    this.#tabs = tabs;
    globalThis.addEventListener?.("online", () => this.#attempts.wake(), { signal });
    while (!signal.aborted) {
      await untilVisible(signal);
      const hidden = new AbortController();
      const turn = AbortSignal.any([signal, hidden.signal]);
      const unwatch = whenHidden(this.options.hiddenMs ?? 60_000, () => hidden.abort());
      if (this.#state === "idle") this.#set("connecting");
      tabs.post({ kind: "hello" });
      await tabs.lead(turn, async () => {
        await this.#lead(turn);
        if (!signal.aborted) this.#set("idle");
        this.#leads = false;
      });
      unwatch();
    }
    tabs.close();
  }

  /** Connects again and again until the signal. */
  async #lead(signal: AbortSignal): Promise<void> {
    this.#leads = true;
    while (!signal.aborted) {
      let waitMs: number;
      try {
        // After a planned end all clients of an instance come back, spread over a second.
        waitMs = Math.random() * ((await this.#connect(signal)) ?? 1_000);
      } catch (error) {
        if (signal.aborted) break;
        const verdict = this.#attempts.judge(error);
        this.#set(verdict.state);
        ({ waitMs } = verdict);
      }
      await this.#attempts.pause(waitMs, signal);
    }
  }

  async #connect(signal: AbortSignal): Promise<number | undefined> {
    const reading = await this.#reading(signal);
    const renewed = new AbortController();
    const renew = this.#grants.renewInMs;
    // The next grant is there before the connection ends; without one it goes on with this one.
    const timer = renew && setTimeout(() => this.#grants.get().then(() => renewed.abort(), () => {}), renew);
    let before = reading.after;
    try {
      return await follow({ ...reading, signal: AbortSignal.any([signal, renewed.signal]) }, () => {
        this.#attempts.succeeded();
        this.#set("live");
        // Those who were told so before by another tab hear where this one is.
        this.#post();
      }, (message) => {
        if (message.event === "bye") {
          if (message.data.includes("expired")) this.#grants.drop();
          return;
        }
        this.#tabs.post({ kind: "message", before, message });
        this.#take(before, message);
        before = message.id ?? before;
      });
    } catch (error) {
      if (renewed.signal.aborted) return 0;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #reading(signal: AbortSignal): Promise<Reading> {
    const { url = "", organisation, types } = this.options;
    const query: Record<string, string> = {};
    if (organisation) query.organisation = organisation;
    if (types) query.type = types.join(",");
    return { url, query, after: this.#cursor, grant: await this.#grants.get(), signal };
  }

  #hear(message: TabMessage): void {
    if (message.kind === "hello") {
      if (this.#leads) this.#post();
    } else if (!this.#leads) {
      if (message.kind === "state") {
        this.#set(message.state);
        if (message.at) this.#take(message.at, { event: "", data: "", id: message.at });
      } else {
        this.#take(message.before, message.message);
      }
    }
  }

  /** Takes a message whose sender was at `before`. */
  #take(before: string | undefined, message: SseMessage): void {
    // What does not fit is found again by the gap that it leaves.
    if (this.#queue.length < MAX_QUEUED || !this.#draining) this.#queue.push({ before, message });
    if (!this.#draining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    const signal = this.#stop?.signal;
    for (let failures = 0, item; signal && !signal.aborted && (item = this.#queue[0]); ) {
      const { before, message } = item;
      if (failures < 3 && this.#isAhead(before) && this.#isAhead(message.id) && message.event !== "reset") {
        // Between this tab's place and the sender's there may be events.
        await this.#reading(signal)
          .then((reading) => catchUp(reading, (missed) => this.#apply(missed)))
          .catch(() => {});
        if (this.#isAhead(before)) await pause(1_000 * 2 ** failures++, signal);
        continue;
      }
      this.#queue.shift();
      // What cannot be reached is left out: the next message finds the same gap.
      if (failures < 3) this.#apply(message);
      failures = 0;
    }
    this.#queue = [];
    this.#draining = false;
  }

  #isAhead(cursor: string | undefined): boolean {
    return cursor !== undefined && this.#cursor !== undefined && !isUpTo(cursor, this.#cursor);
  }

  #apply({ event, data, id, tooLarge }: SseMessage): void {
    if (event === "reset") {
      this.#cursor = id;
      return this.#tell("reset", JSON.parse(data));
    }
    if (id !== undefined && this.#cursor !== undefined && !this.#isAhead(id)) return;
    if (event === "outage" || event === "resumed") this.#set(event === "outage" ? "outage" : "live");
    else if (event === "unreadable" || tooLarge) this.#tell("unreadable", { cursor: id });
    else if (data && event !== "ready") this.#tell("event", { ...JSON.parse(data), cursor: id });
    if (id !== undefined) this.#cursor = id;
  }

  #set(state: StreamState): void {
    if (this.#state === state) return;
    this.#state = state;
    if (this.#leads) this.#post();
    this.#tell("state", state);
  }

  #post(): void {
    this.#tabs.post({ kind: "state", state: this.#state, at: this.#cursor });
  }

  /** One subscriber's failure does not reach the others. */
  #tell<K extends "event" | "reset" | "unreadable" | "state">(what: K, of: Parameters<NonNullable<Subscriber[K]>>[0]): void {
    for (const subscriber of [...this.#subscribers]) {
      try {
        (subscriber[what] as ((of: unknown) => void) | undefined)?.(of);
      } catch (error) {
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}

/** Calls `ends` when the page was in the background for so long; gives what stops watching. */
function whenHidden(ms: number, ends: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const unwatch = watchVisibility(() => {
    clearTimeout(timer);
    if (!isVisible()) timer = setTimeout(ends, ms);
  });
  return () => {
    clearTimeout(timer);
    unwatch();
  };
}

/** Waits until the page is in the foreground, or until the signal. */
function untilVisible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isVisible() && !signal.aborted) return;
      unwatch();
      resolve();
    };
    const unwatch = watchVisibility(look);
    signal.addEventListener("abort", look);
    look();
  });
}

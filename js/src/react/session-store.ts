import type { CurrentSession, SessionView } from "../api/types.gen.js";
import { createClient, type Client } from "../client.js";
import { isVisible, watchVisibility } from "../browser/visibility.js";

/** What is known of the visitor's session; a new object only when something changed. */
export interface SessionSnapshot {
  /** `undefined` until it is known; `null` when nobody is signed in. */
  readonly session: SessionView | null | undefined;
  /** Why it could not be read the last time; what was known stays. */
  readonly error?: unknown;
}

/** A visit in the foreground asks again after so long, at the earliest. */
const STALE_MS = 60_000;
/** Rendered sessions that are remembered. */
const MAX_SEEDS = 100;

/**
 * The visitor's session in this browser, shared by all components and kept equal in all tabs.
 *
 * It is read once, and again when the page comes to the foreground after a minute at the earliest, when
 * another tab saw it change, or by `refresh`.
 */
export class SessionStore {
  #snapshot: SessionSnapshot = { session: undefined };
  #listeners = new Set<() => void>();
  #seeds = new Set<string>();
  #readAt = 0;
  #reading: Promise<void> | undefined;
  #channel: BroadcastChannel | undefined;
  #unwatch: (() => void) | undefined;

  constructor(private readonly client: Client = createClient()) {}

  snapshot = (): SessionSnapshot => this.#snapshot;

  /** Whether nothing was read or rendered yet. */
  get isNew(): boolean {
    return !this.#readAt;
  }

  /** Whether what was read is newer than this rendered session. */
  knows(session: SessionView | null): boolean {
    return !!session && this.#seeds.has(JSON.stringify(session));
  }

  /**
   * Takes what a server rendered, so that the browser begins with it. Where it differs from what was
   * known, such as after a sign-in by a Server Action, it is read anew: the page may be an old one.
   */
  seed(session: SessionView | null): void {
    if (this.knows(session)) return;
    if (this.#seeds.size >= MAX_SEEDS) this.#seeds.clear();
    if (session) this.#seeds.add(JSON.stringify(session));
    const known = this.#readAt > 0;
    if (!known) this.#readAt = Date.now();
    if (JSON.stringify(session) === JSON.stringify(this.#snapshot.session)) return;
    this.#set({ session });
    if (known) void this.refresh();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#open();
    return () => {
      this.#listeners.delete(listener);
      if (!this.#listeners.size) this.#close();
    };
  };

  /** Reads the session anew; callers at the same time share one request. */
  refresh = (): Promise<void> => this.#refresh(true);

  #refresh(tell: boolean): Promise<void> {
    return (this.#reading ??= this.#read(tell).finally(() => {
      this.#reading = undefined;
    }));
  }

  /** Ends the session, here and in all tabs. */
  signOut = async (): Promise<void> => {
    await this.client.session.end();
    this.#take(null, true);
  };

  async #read(tell: boolean): Promise<void> {
    this.#readAt = Date.now();
    try {
      const { session }: CurrentSession = await this.client.session.get();
      this.#take(session ?? null, tell);
    } catch (error) {
      this.#set({ session: this.#snapshot.session, error });
    }
  }

  /** `tell`: other tabs do not know it yet. */
  #take(session: SessionView | null, tell: boolean): void {
    const before = this.#snapshot.session;
    const same = JSON.stringify(before) === JSON.stringify(session);
    if (tell && !same && before !== undefined) this.#channel?.postMessage("changed");
    if (!same || this.#snapshot.error !== undefined) this.#set({ session: same ? before : session });
  }

  #set(snapshot: SessionSnapshot): void {
    this.#snapshot = snapshot;
    for (const listener of [...this.#listeners]) listener();
  }

  #open(): void {
    if (typeof BroadcastChannel !== "undefined") {
      this.#channel = new BroadcastChannel("restis:session");
      this.#channel.onmessage = () => void this.#refresh(false);
    }
    const look = () => {
      if (isVisible() && Date.now() - this.#readAt >= STALE_MS) void this.refresh();
    };
    this.#unwatch = watchVisibility(look);
    look();
  }

  #close(): void {
    this.#channel?.close();
    this.#unwatch?.();
  }
}

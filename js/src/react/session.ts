import { useEffect, useRef, useSyncExternalStore } from "react";
import type { SessionView } from "../api/types.gen.js";
import { SessionStore, type SessionSnapshot } from "./session-store.js";

let shared: SessionStore | undefined;

/** What {@link useSession} gives. */
export interface UseSession extends SessionSnapshot {
  /** Reads it anew. */
  refresh(): Promise<void>;
  /** Signs out, here and in all tabs of this browser. */
  signOut(): Promise<void>;
}

export interface UseSessionOptions {
  /** The session that the server read, so that nothing flickers. */
  initial?: SessionView | null;
  /** A store of one's own, such as of functions on another path; all components share one otherwise. */
  store?: SessionStore;
}

/** The visitor's session. On a server it is `initial`. */
export function useSession({ initial, store }: UseSessionOptions = {}): UseSession {
  // A server must share nothing between visitors.
  const browser = typeof window !== "undefined";
  const of = store ?? (browser ? (shared ??= new SessionStore()) : new SessionStore());
  if (browser && initial !== undefined && of.isNew) of.seed(initial);
  const snapshot = useSyncExternalStore(of.subscribe, of.snapshot, () => serverSnapshot(initial));
  const key = initial && JSON.stringify(initial);
  const taken = useRef<string | null>(undefined);
  useEffect(() => {
    taken.current = key;
    if (initial !== undefined) of.seed(initial);
    // The key is what `initial` says; another object with each render is the same.
  }, [of, key]);
  // A page that was rendered after the last read says more than that.
  const rendered = initial !== undefined && key !== taken.current && !of.knows(initial);
  const { session, error } = rendered ? serverSnapshot(initial) : snapshot;
  return { session, error, refresh: of.refresh, signOut: of.signOut };
}

const unknown: SessionSnapshot = { session: undefined };
const nobody: SessionSnapshot = { session: null };
const snapshots = new WeakMap<SessionView, SessionSnapshot>();

/** The same object for the same session, as React asks for. */
function serverSnapshot(initial: SessionView | null | undefined): SessionSnapshot {
  if (!initial) return initial === null ? nobody : unknown;
  let snapshot = snapshots.get(initial);
  if (!snapshot) snapshots.set(initial, (snapshot = { session: initial }));
  return snapshot;
}

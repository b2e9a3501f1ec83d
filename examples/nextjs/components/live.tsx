"use client";
import { useRouter } from "next/navigation";
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import type { SessionView, StoredEvent } from "restis";
import { Outbox, type EventStream, type StreamState } from "restis/browser";
import { useEvents, useEventStream, useSession } from "restis/react";
import type { History } from "../lib/history";

interface LiveValue {
  user: string;
  /** The history and what came since, oldest first. */
  events: StoredEvent[];
  stream: EventStream;
  state: StreamState;
  outbox: Outbox;
  /** Events that were refused, in words. */
  refused: string[];
}

const Context = createContext<LiveValue | undefined>(undefined);

export function useLive(): LiveValue {
  const value = useContext(Context);
  if (!value) throw new Error("useLive is for the pages of those who are signed in");
  return value;
}

export function Live({ session, user, types, history, children }: { session: SessionView; user: string; types: string[]; history: History; children: ReactNode }) {
  const router = useRouter();
  const { session: current, refresh } = useSession({ initial: session });
  // The stream begins where the first history ended; later ones hold what came since as well.
  const [after] = useState(history.cursor);
  const stream = useEventStream({ grant: "/auth/grant", subject: user, types, after });
  const [since, setSince] = useState<StoredEvent[]>([]);
  const [refused, setRefused] = useState<string[]>([]);

  const state = useEvents(stream, {
    onEvent(event) {
      if (event.type === `session.${user}.ended`) void refresh();
      if (/^(booking|note)\./.test(event.type)) setSince((known) => [...known, event]);
    },
    onReset() {
      // Events are missing: what was there is read anew.
      setSince([]);
      router.refresh();
    },
  });

  const outbox = useMemo(
    () => new Outbox({ subject: user, grant: "/auth/grant", onRejected: (_, detail) => setRefused((known) => [...known, detail]) }),
    [user],
  );

  // The session ended, here, in another tab or on another device.
  useEffect(() => {
    if (current === null) router.replace("/login?ended");
  }, [current, router]);

  const events = useMemo(() => {
    const byId = new Map([...history.events, ...since].map((event) => [`${event.source} ${event.id}`, event]));
    return [...byId.values()];
  }, [history, since]);

  const value = useMemo(() => ({ user, events, stream, state, outbox, refused }), [user, events, stream, state, outbox, refused]);
  return <Context value={value}>{children}</Context>;
}

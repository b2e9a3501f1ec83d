import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { NewEvent } from "../calls.js";
import { EventStream, type EventStreamOptions, type LiveEvent, type StreamState } from "../browser/stream.js";
import type { Outbox, OutboxStatus } from "../browser/outbox.js";

/** Whether a type is `a.b`, or below it where `a.*` is asked for. */
export function fits(type: string, pattern: string): boolean {
  return pattern === "*" || type === pattern || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1)));
}

/** A stream that lives as long as the component; another one when an option changes. */
export function useEventStream(options: EventStreamOptions): EventStream {
  const { grant } = options;
  const key = JSON.stringify({ ...options, grant: typeof grant === "string" ? grant : undefined });
  // A new function with each render is the same source.
  const latest = useRef(grant);
  useEffect(() => {
    latest.current = grant;
  });
  return useMemo(() => {
    const source = typeof grant === "function" ? () => (latest.current as typeof grant)() : grant;
    return new EventStream({ ...options, grant: source });
    // The key has all options.
  }, [key]);
}

/** What a component does with events; it may be another object with each render. */
export interface UseEventsOptions {
  /** Only events of these types: `a.b`, everything below `a.*`. */
  types?: readonly string[];
  onEvent?(event: LiveEvent): void;
  /** Events are missing: load the state anew. */
  onReset?(of: { reason: string; cursor: string }): void;
}

/** Hears the events of a stream while the component is mounted; renders only when the state changes. */
export function useEvents(stream: EventStream, options: UseEventsOptions = {}): StreamState {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const store = useMemo(
    () => ({
      subscribe: (changed: () => void) =>
        stream.subscribe({
          state: changed,
          event: (event) => {
            const { types, onEvent } = latest.current;
            if (!types || types.some((type) => fits(event.type, type))) onEvent?.(event);
          },
          reset: (of) => latest.current.onReset?.(of),
        }),
      snapshot: () => stream.state,
    }),
    [stream],
  );
  return useSyncExternalStore(store.subscribe, store.snapshot, () => "idle");
}

const unsent: OutboxStatus = { state: "idle", pending: 0, durable: true };

/** What is shown of an outbox, and `add`; it sends while the component is mounted, and after that. */
export function useOutbox(outbox: Outbox): OutboxStatus & { add(events: NewEvent | readonly NewEvent[]): Promise<string[]>; retry(): void } {
  const store = useMemo(
    () => ({
      subscribe: (changed: () => void) => outbox.subscribe(changed),
      snapshot: () => outbox.status,
      add: (events: NewEvent | readonly NewEvent[]) => outbox.add(events),
      retry: () => outbox.retry(),
    }),
    [outbox],
  );
  const status = useSyncExternalStore(store.subscribe, store.snapshot, () => unsent);
  return useMemo(() => ({ ...status, add: store.add, retry: store.retry }), [status, store]);
}

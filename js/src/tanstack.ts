"use client";
import { queryOptions, useQueryClient, type QueryKey } from "@tanstack/react-query";
import type { EventStream } from "./browser/stream.js";
import type { Client } from "./client.js";
import type { AnyRestisError } from "./error.js";
import { mayHelp, run, type CallPath, type DataAt, type InputAt } from "./paths.js";
import { useEvents } from "./react/events.js";

export type { CallPath, DataAt, InputAt } from "./paths.js";

/**
 * A call as the options of a query: `useQuery(callOptions(client, "session.list"))`.
 *
 * It does not ask on every focus, repeats no refusal, and ends with the query's signal.
 */
export function callOptions<P extends CallPath>(client: Client, path: P, input?: InputAt<P>) {
  return queryOptions<DataAt<P>, AnyRestisError>({
    queryKey: ["restis", path, input ?? null],
    queryFn: ({ signal }) => run(client, path, input, { signal }),
    refetchOnWindowFocus: false,
    retry: (failures, error) => failures < 3 && mayHelp(error),
    retryDelay: (failures, error) => Math.max(error.retryAfterMs ?? 0, Math.min(30_000, 1_000 * 2 ** failures)),
  });
}

/** Marks queries as old when an event comes, and after a reset; those that are shown are read anew. */
export function useInvalidateOn(stream: EventStream, types: readonly string[], queryKey: QueryKey): void {
  const client = useQueryClient();
  const again = () => void client.invalidateQueries({ queryKey });
  useEvents(stream, { types, onEvent: again, onReset: again });
}

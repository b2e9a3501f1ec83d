"use client";
import useSWR, { useSWRConfig, type SWRConfiguration, type SWRResponse } from "swr";
import type { EventStream } from "./browser/stream.js";
import type { Client } from "./client.js";
import type { AnyRestisError } from "./error.js";
import { mayHelp, run, type CallPath, type DataAt, type InputAt } from "./paths.js";
import { useEvents } from "./react/events.js";

export type { CallPath, DataAt, InputAt } from "./paths.js";

/** The key of a call in SWR's cache. */
export const callKey = <P extends CallPath>(path: P, input?: InputAt<P>) => ["restis", path, input ?? null] as const;

/**
 * A call as SWR data: `useCall(client, "session.list")`. `input` `null` asks nothing yet.
 *
 * It does not ask on every focus, and repeats no refusal.
 */
export function useCall<P extends CallPath>(client: Client, path: P, input?: InputAt<P> | null, config?: SWRConfiguration<DataAt<P>, AnyRestisError>): SWRResponse<DataAt<P>, AnyRestisError> {
  return useSWR<DataAt<P>, AnyRestisError>(input === null ? null : callKey(path, input), () => run(client, path, input ?? undefined), {
    revalidateOnFocus: false,
    shouldRetryOnError: mayHelp,
    ...config,
  });
}

/** Reads data anew when an event comes, and after a reset; `keys` chooses which. */
export function useRevalidateOn(stream: EventStream, types: readonly string[], keys: (key: unknown) => boolean): void {
  const { mutate } = useSWRConfig();
  const again = () => void mutate((key) => keys(key));
  useEvents(stream, { types, onEvent: again, onReset: again });
}

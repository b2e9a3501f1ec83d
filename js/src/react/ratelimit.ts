import { useCallback, useEffect, useState } from "react";
import { retryAfter } from "../exchange.js";

/** What {@link useRateLimit} gives. */
export interface UseRateLimit {
  /** Whether to wait. */
  limited: boolean;
  /** Whole seconds to wait, counting down; 0 when there is nothing to wait for. */
  secondsLeft: number;
  /** Reads a result: a decision, a `Limited`, an error of a call, or a response with status 429. */
  note(result: unknown): void;
}

/** How long a result says to wait, in milliseconds; `Infinity` when waiting does not help. */
export function waitOf(result: unknown): number {
  if (typeof result !== "object" || !result) return 0;
  if (result instanceof Response) return result.status === 429 ? (retryAfter(result.headers.get("retry-after")) ?? Infinity) : 0;
  const { limited, allowed, code, retryAfterMs, retry_after_ms } = result as Record<string, unknown>;
  if (limited !== true && allowed !== false && code !== "rate-limited") return 0;
  const ms = retryAfterMs ?? retry_after_ms;
  return typeof ms === "number" ? ms : Infinity;
}

/**
 * Counts down what a limit says to wait; `result` may be the state of `useActionState`.
 *
 * It renders once a second while there is something to wait for, and not otherwise.
 */
export function useRateLimit(result?: unknown): UseRateLimit {
  const [until, setUntil] = useState(0);
  const [secondsLeft, setSecondsLeft] = useState(0);
  const note = useCallback((result: unknown) => {
    const ms = waitOf(result);
    setUntil(ms ? Date.now() + ms : 0);
    setSecondsLeft(Math.ceil(ms / 1000));
  }, []);
  useEffect(() => {
    if (result !== undefined) note(result);
  }, [result, note]);
  useEffect(() => {
    if (!until || until === Infinity) return;
    let timer: ReturnType<typeof setTimeout>;
    const tick = () => {
      const left = until - Date.now();
      setSecondsLeft(Math.max(0, Math.ceil(left / 1000)));
      if (left <= 0) setUntil(0);
      // The next whole second of what is left.
      else timer = setTimeout(tick, left % 1000 || 1000);
    };
    tick();
    return () => clearTimeout(timer);
  }, [until]);
  return { limited: secondsLeft > 0, secondsLeft, note };
}

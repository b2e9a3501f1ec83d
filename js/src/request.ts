import { isRestisError, type RestisError } from "./error.js";
import { exchange, type Address, type Answer, type Exchange } from "./exchange.js";
import { pause } from "./pause.js";

/** How a client reaches the functions. */
export interface ClientConfig extends Omit<Address, "token"> {
  /** A service token or a grant, or a function that gives one for each request. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** Headers of every request. */
  headers?: Record<string, string>;
  /** Milliseconds that a call may take, with all its repeats: 10,000 when absent. */
  timeoutMs?: number;
  /** How often a call is repeated where a repeat is harmless: 2 when absent. */
  retries?: number;
}

/** What one call has of its own. */
export interface CallOptions {
  /** Ends the call; it rejects with the signal's reason. */
  signal?: AbortSignal;
  timeoutMs?: number;
  retries?: number;
  headers?: Record<string, string>;
  /** The browser's `Cookie` header, handed on by a server. */
  cookie?: string;
  /** Makes a repeat harmless where the function knows keys (`publish`, `sessions.create`). */
  idempotencyKey?: string;
  /** The `ETag` that a change is for. */
  ifMatch?: string;
}

/** A request to the functions. */
export interface RequestInput extends Exchange, CallOptions {
  /** Whether sending it twice does the same as once. */
  repeatable?: boolean;
}

/** Problems that a repeat does not mend. */
const LASTING = /^(sessions|history|grants)-off$|^store-refused$/;

/** Sends a request and repeats it where that is harmless and may help. */
export async function send<T>(config: ClientConfig, input: RequestInput): Promise<Answer<T>> {
  const { signal, cookie, idempotencyKey, ifMatch, repeatable } = input;
  const retries = input.retries ?? config.retries ?? 2;
  const ends = Date.now() + (input.timeoutMs ?? config.timeoutMs ?? 10_000);
  const headers = {
    "x-request-id": crypto.randomUUID(),
    ...(cookie && { cookie }),
    ...(idempotencyKey && { "idempotency-key": idempotencyKey }),
    ...(ifMatch && { "if-match": ifMatch }),
    ...config.headers,
    ...input.headers,
  };
  for (let attempts = 1; ; attempts++) {
    try {
      const token = typeof config.token === "function" ? await config.token() : config.token;
      return await exchange<T>({ ...config, token }, { ...input, headers, timeoutMs: ends - Date.now() }, attempts);
    } catch (error) {
      if (!isRestisError(error) || attempts > retries || !helps(error, repeatable)) throw error;
      const ms = Math.max(error.retryAfterMs ?? 0, Math.random() * 100 * 2 ** attempts);
      if (Date.now() + ms >= ends) throw error;
      await pause(ms, ...(signal ? [signal] : []));
    }
  }
}

/** Whether sending it again is harmless and may end better. */
function helps({ code, status }: RestisError, repeatable?: boolean): boolean {
  if (LASTING.test(code)) return false;
  // After these two nothing was done.
  if (status === 408 || status === 429) return true;
  return !!repeatable && (code === "network" || status === 502 || status === 503 || status === 504);
}

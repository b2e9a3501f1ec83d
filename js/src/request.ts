import { RestisError, type ErrorCode, type ProblemDocument } from "./error.js";

/** How a client reaches the functions. */
export interface ClientConfig {
  /** Where the functions are, such as `https://example.com`; the page's own origin when absent. */
  url?: string;
  /** A service token or a grant, or a function that gives one for each call. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** Headers of every request. */
  headers?: Record<string, string>;
  /** Milliseconds that a call may take, with all its repeats: 10,000 when absent. */
  timeoutMs?: number;
  /** How often a call is repeated where a repeat is harmless: 2 when absent. */
  retries?: number;
  /** Sends requests instead of the global `fetch`. */
  fetch?: typeof fetch;
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

/** An answer with its body. */
export interface Answer<T> {
  data: T;
  response: Response;
}

/** A request to the functions. */
export interface RequestInput extends CallOptions {
  method: string;
  /** Path and query, such as `/api/health`. */
  path: string;
  body?: unknown;
  /** Whether sending it twice does the same as once. */
  repeatable?: boolean;
}

/** Problems that a repeat does not mend. */
const LASTING = /^(sessions|history|grants)-off$|^store-refused$/;
const DEADLINE = Symbol();

/** Sends a request, repeats it where that is harmless and may help, and reads the answer. */
export async function send<T>(config: ClientConfig, input: RequestInput): Promise<Answer<T>> {
  const { signal } = input;
  const timeoutMs = input.timeoutMs ?? config.timeoutMs ?? 10_000;
  const retries = input.retries ?? config.retries ?? 2;
  const ends = Date.now() + timeoutMs;
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  const timer = setTimeout(() => stop.abort(DEADLINE), timeoutMs);
  let streaming = false;

  const requestId = crypto.randomUUID();
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    const url = (config.url ?? "").replace(/\/+$/, "") + input.path;
    const request = { ...(await prepare(config, input, requestId)), signal: stop.signal };
    for (let attempts = 1; ; attempts++) {
      let error: RestisError;
      try {
        const response = await (config.fetch ?? fetch)(url, request);
        const type = response.headers.get("content-type") ?? "";
        if (response.ok && type.startsWith("text/event-stream")) {
          streaming = true;
          return { data: response as T, response };
        }
        const data = await (type.includes("json") ? response.json() : response.text());
        const refused = !response.ok && typeof data.allowed === "boolean";
        // A page with status 200 is not from the functions: the address is another site's.
        if ((response.ok && !type.includes("html")) || response.status === 304 || refused) {
          return { data: data === "" ? undefined : data, response };
        }
        error = failed(response, data, attempts, requestId);
      } catch (cause) {
        if (signal?.aborted) throw signal.reason;
        const code = stop.signal.aborted ? "deadline" : "network";
        const message = code === "deadline" ? `no answer within ${timeoutMs} ms` : "the functions cannot be reached";
        error = new RestisError<ErrorCode>(code, message, { requestId, attempts, cause: code === "network" ? cause : undefined });
      }
      const pause = Math.max(error.retryAfterMs ?? 0, Math.random() * 100 * 2 ** attempts);
      if (attempts > retries || !helps(error, input.repeatable) || Date.now() + pause >= ends) throw error;
      await wait(pause, stop.signal);
      if (signal?.aborted) throw signal.reason;
    }
  } finally {
    clearTimeout(timer);
    if (!streaming) signal?.removeEventListener("abort", abort);
  }
}

async function prepare(config: ClientConfig, input: RequestInput, requestId: string): Promise<RequestInit> {
  const { method, body, cookie, idempotencyKey, ifMatch } = input;
  const token = typeof config.token === "function" ? await config.token() : config.token;
  const headers: Record<string, string> = { "x-request-id": requestId };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  if (cookie) headers.cookie = cookie;
  if (idempotencyKey) headers["idempotency-key"] = idempotencyKey;
  if (ifMatch) headers["if-match"] = ifMatch;
  Object.assign(headers, config.headers, input.headers);
  // A redirect would hand the token on, or answer with the page of a sign-in.
  return { method, headers, redirect: "manual", body: body === undefined ? null : JSON.stringify(body) };
}

/** Whether sending it again is harmless and may end better. */
function helps({ code, status }: RestisError, repeatable?: boolean): boolean {
  if (LASTING.test(code)) return false;
  // After these two nothing was done.
  if (status === 408 || status === 429) return true;
  return !!repeatable && (code === "network" || status === 502 || status === 503 || status === 504);
}

function failed(response: Response, data: unknown, attempts: number, sent?: string): RestisError {
  const { status, headers } = response;
  const problem = (data as ProblemDocument | null)?.code ? (data as ProblemDocument) : undefined;
  const message = problem
    ? `${problem.title}${problem.detail ? `: ${problem.detail}` : ""} (${problem.code})`
    : `the answer with status ${status} is no problem document`;
  return new RestisError((problem?.code ?? "unexpected-answer") as ErrorCode, message, {
    status,
    problem,
    attempts,
    requestId: headers.get("x-request-id") ?? sent,
    retryAfterMs: problem?.retry_after_ms ?? retryAfter(headers.get("retry-after")),
  });
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
export function retryAfter(value: string | null, now = Date.now()): number | undefined {
  if (!value) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

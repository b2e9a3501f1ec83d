import { RestisError, type ErrorCode, type ProblemDocument } from "./error.js";

/** How the functions are reached. */
export interface Address {
  /** Where the functions are, such as `https://example.com`; the page's own origin when absent. */
  url?: string;
  /** A service token or a grant. */
  token?: string;
  /** Sends requests instead of the global `fetch`. */
  fetch?: typeof fetch;
}

/** One request. */
export interface Exchange {
  method: string;
  /** Path and query, such as `/api/health`. */
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Ends it; it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Milliseconds until the whole answer is there; of a stream until it begins. 10,000 when absent. */
  timeoutMs?: number;
}

/** An answer with its body. */
export interface Answer<T> {
  data: T;
  response: Response;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** Sends a request once and reads the answer; `attempts` is what an error says. */
export async function exchange<T>(to: Address, { method, path, body, headers, signal, timeoutMs }: Exchange, attempts = 1): Promise<Answer<T>> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  const timer = setTimeout(abort, timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const requestId = headers?.["x-request-id"] ?? crypto.randomUUID();
  let streaming = false;
  signal?.throwIfAborted();
  signal?.addEventListener("abort", abort);
  try {
    const response = await (to.fetch ?? fetch)((to.url ?? "").replace(/\/+$/, "") + path, {
      method,
      headers: {
        "x-request-id": requestId,
        ...(to.token && { authorization: `Bearer ${to.token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: JSON.stringify(body),
      // A redirect would hand the token on, or answer with the page of a sign-in.
      redirect: "manual",
      signal: stop.signal,
    });
    const type = response.headers.get("content-type") ?? "";
    if (response.ok && type.startsWith("text/event-stream")) {
      streaming = true;
      return { data: response as T, response };
    }
    const data = await (type.includes("json") ? response.json() : response.text());
    const refused = typeof data.allowed === "boolean";
    // A page with status 200 is not from the functions: the address is another site's.
    if ((response.ok && !type.includes("html")) || response.status === 304 || refused) {
      return { data: data === "" ? undefined : data, response };
    }
    throw failed(response, data, attempts, requestId);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof RestisError) throw cause;
    const late = stop.signal.aborted;
    throw new RestisError<ErrorCode>(late ? "deadline" : "network", late ? "no answer in time" : "no answer", {
      requestId,
      attempts,
      cause: late ? undefined : cause,
    });
  } finally {
    clearTimeout(timer);
    if (!streaming) signal?.removeEventListener("abort", abort);
  }
}

function failed(response: Response, data: unknown, attempts: number, sent: string): RestisError {
  const { status, headers } = response;
  const problem = (data as ProblemDocument | null)?.code ? (data as ProblemDocument) : undefined;
  const message = problem
    ? `${problem.title}${problem.detail ? `: ${problem.detail}` : ""} (${problem.code})`
    : `unexpected answer with status ${status}`;
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

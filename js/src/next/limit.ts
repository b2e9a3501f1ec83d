import { headers } from "next/headers";
import type { Decision } from "../calls.js";
import { isRestisError, type RestisError } from "../error.js";
import { functions } from "./client.js";
import { clientIp, type HeadersLike } from "./request.js";

/** Which limit, and for whom. */
export interface Limit {
  /** A policy of `RATE_LIMIT_POLICIES`. */
  policy?: string;
  cost?: number;
  organisation?: string;
  /** Who is limited; the visitor's address when absent. */
  identifier?: (of: HeadersLike) => string | Promise<string>;
  /** How many trusted proxies are in front; see `clientIp`. */
  proxies?: number;
  /** What happens while the functions cannot be reached: `allow` when absent. While they are there but their store is away, the policy says. */
  unreachable?: "allow" | "refuse";
}

/** What a limited Server Action gives back instead of its result. */
export interface Limited {
  limited: true;
  /** Milliseconds until the same cost fits; `null` when it never does. */
  retryAfterMs: number | null;
}

/** Whether a Server Action was refused by its limit. */
export const isLimited = (result: unknown): result is Limited => (result as Limited | null)?.limited === true;

/** A refusal: the answer of the functions, with its headers. */
interface Refusal {
  status: number;
  headers: Headers;
  body: object;
  retryAfterMs: number | null;
}

/** Takes the cost; `undefined` lets the request go on. */
async function refusal(limit: Limit, of: HeadersLike): Promise<Refusal | undefined> {
  const { policy, cost, organisation, unreachable = "allow" } = limit;
  const ip = clientIp(of, limit.proxies);
  const identifier = limit.identifier ? await limit.identifier(of) : (ip ?? "unknown");
  try {
    const asked = { identifier, policy, cost, organisation, ip, user_agent: of.get("user-agent")?.slice(0, 512) };
    const { data, response } = await functions().ratelimit.check(asked).withResponse();
    if (data.allowed) return undefined;
    return { status: response.status, headers: response.headers, body: data, retryAfterMs: data.retry_after_ms ?? null };
  } catch (error) {
    if (!isRestisError(error)) throw error;
    const away = error.status === 0 || error.code === "unexpected-answer";
    if (away && unreachable === "allow") return undefined;
    if (away || error.code === "store-unavailable" || error.code === "denied") return refused(error);
    throw error;
  }
}

function refused({ status, message, problem, retryAfterMs = 1_000 }: RestisError): Refusal {
  const body = problem ?? { type: "urn:restis:problem:store-unavailable", title: "The limit cannot be checked", status: 503, code: "store-unavailable", detail: message };
  return { status: problem ? status : 503, headers: new Headers({ "retry-after": String(Math.ceil(retryAfterMs / 1000)) }), body, retryAfterMs };
}

function respond({ status, headers: from, body }: Refusal): Response {
  const to = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  for (const name of ["retry-after", "ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]) {
    const value = from.get(name);
    if (value) to.set(name, value);
  }
  return new Response(JSON.stringify(body), { status, headers: to });
}

/** What a limited handler gives: a route handler answers 429 itself, a Server Action says {@link Limited}. */
type LimitedResult<A extends unknown[], R> = A extends [Request, ...unknown[]] ? R | Response : R | Limited;

/**
 * Limits a route handler or a Server Action. A refusal costs nothing.
 *
 * ```ts
 * export const POST = withRateLimit(async (request: Request) => Response.json({}), { policy: "search" });
 * ```
 */
export function withRateLimit<A extends unknown[], R>(handler: (...input: A) => Promise<R> | R, limit: Limit | string = {}): (...input: A) => Promise<LimitedResult<A, R>> {
  const of = typeof limit === "string" ? { policy: limit } : limit;
  return async (...input) => {
    const request = input[0] instanceof Request ? input[0] : undefined;
    const found = await refusal(of, request?.headers ?? (await headers()));
    if (!found) return (await handler(...input)) as LimitedResult<A, R>;
    return (request ? respond(found) : { limited: true, retryAfterMs: found.retryAfterMs }) as LimitedResult<A, R>;
  };
}

/**
 * A limit for `proxy.ts`: answers 429, or lets the request go on.
 *
 * ```ts
 * export const proxy = rateLimit({ policy: "pages" });
 * ```
 */
export function rateLimit(limit: Limit | string = {}): (request: Request) => Promise<Response | undefined> {
  const of = typeof limit === "string" ? { policy: limit } : limit;
  return async (request) => {
    const found = await refusal(of, request.headers);
    return found && respond(found);
  };
}

/** Takes the cost of a limit and tells the decision, such as to choose what to show. */
export async function checkRateLimit(limit: Limit & { identifier: () => string | Promise<string> }): Promise<Decision> {
  const { policy, cost, organisation, identifier } = limit;
  return functions().ratelimit.check({ identifier: await identifier(), policy, cost, organisation });
}

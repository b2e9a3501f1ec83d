import { http, HttpResponse, type DefaultBodyType, type HttpHandler } from "msw";
import type { ProblemCode } from "../error.js";
import { problemList } from "../api/problem-list.gen.js";
import type { CallPath, DataAt } from "../paths.js";
import { routes } from "../routes.js";

/** A request as an answer sees it. */
export interface Asked {
  request: Request;
  /** Parts of the path, decoded. */
  params: Record<string, string>;
  query: URLSearchParams;
  /** The JSON of the body; absent without one. */
  body: unknown;
}

/** What a call is to answer: its data, a whole response, or a function that gives one of them. */
export type MockAnswer<T> = T | Response | ((asked: Asked) => T | Response | Promise<T | Response>);

/**
 * Answers one function, whatever its address: `on("ratelimit.check", problem("store-unavailable"))`.
 *
 * Without data the status is 204; `null` of a call that may find nothing is 404.
 */
export function on<P extends CallPath>(call: P, answer: MockAnswer<DataAt<P>>): HttpHandler {
  const { method, path, finds } = routeOf(call);
  return http[method](`*/api/${path}`, async ({ request, params }) => {
    const text = await request.clone().text();
    const asked: Asked = { request, params: decoded(params), query: new URL(request.url).searchParams, body: text ? JSON.parse(text) : undefined };
    const data: unknown = typeof answer === "function" ? await (answer as (asked: Asked) => unknown)(asked) : answer;
    if (data instanceof Response) return data.clone();
    if (data === undefined) return new HttpResponse(null, { status: 204 });
    if (data === null && finds) return problem("not-found");
    return HttpResponse.json(data as DefaultBodyType);
  });
}

/** A problem document with its status, `Retry-After` and what else it says. */
export function problem(code: ProblemCode, members: { detail?: string; retry_after_ms?: number | null; [member: string]: unknown } = {}): Response {
  const { status, title } = problemList[code];
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (typeof members.retry_after_ms === "number") headers["retry-after"] = String(Math.ceil(members.retry_after_ms / 1000));
  return new Response(JSON.stringify({ type: `urn:restis:problem:${code}`, title, status, code, ...members }), { status, headers });
}

/** A refusal of `ratelimit.check`: 429 as the functions send it. */
export function refusal({ policy = "default", limit = 1, retryAfterMs = 1_000 }: { policy?: string; limit?: number; retryAfterMs?: number | null } = {}): Response {
  const reset_ms = Date.now() + (retryAfterMs ?? 0);
  return problem("rate-limited", { allowed: false, policy, reason: "limit", taken: 0, limit, remaining: 0, reset_ms, retry_after_ms: retryAfterMs, "violated-policies": [policy] });
}

type Method = "get" | "post" | "put" | "patch" | "delete";

function routeOf(call: CallPath): { method: Method; path: string; finds: boolean } {
  if (call === "events.publish") return { method: "post", path: "events/publish", finds: false };
  const [group = "", name] = call.split(".");
  const of = (routes as Record<string, string | Record<string, string>>)[group];
  const route = typeof of === "object" ? of[name ?? ""] : of;
  const [, flag, method, path] = /^([~+-]?)(\w+) ([^?]+)/.exec(route ?? "") ?? [];
  if (!method || !path) throw new Error(`there is no call ${call}`);
  return { method: method.toLowerCase() as Method, path: path.replace(/{(\w+)}/g, ":$1"), finds: flag === "-" };
}

function decoded(params: Record<string, string | readonly string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]));
}

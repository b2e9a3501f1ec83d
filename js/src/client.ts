import type { Call, Calls, NewEvent } from "./calls.js";
import { isRestisError, RestisError } from "./error.js";
import type { Answer } from "./exchange.js";
import { send, type CallOptions, type ClientConfig, type RequestInput } from "./request.js";
import { routes } from "./routes.js";

/** The functions as typed calls. */
export interface Client extends Calls {
  /** Sends any request, such as to a route that is newer than this client. */
  request<T>(input: RequestInput): Call<T>;
}

type Route = string | { readonly [name: string]: Route };

/**
 * Makes a client of the functions.
 *
 * ```ts
 * const restis = createClient({ url: process.env.API_URL, token: process.env.RESTIS_SERVICE_TOKEN });
 * const decision = await restis.ratelimit.check({ identifier: "alice", policy: "login" });
 * ```
 */
export function createClient(config: ClientConfig = {}): Client {
  const request = <T>(input: RequestInput): Call<T> => call(send<T>(config, input));
  const operation = (route: string) => {
    const [, flag, method, path, names] = /^([~+-]?)(\w+) ([^?]+)\??(.*)$/.exec(route) as unknown as [string, string, string, string, string];
    const run = async (input: unknown, options: CallOptions) => {
      const { target, body } = take(method, path, names, input);
      let { idempotencyKey } = options;
      // An assertion signs in once, whatever key comes along.
      if (flag === "+" && !(input as { assertion?: string } | undefined)?.assertion) idempotencyKey ??= crypto.randomUUID();
      const repeatable = /GET|PUT|DELETE/.test(method) || flag === "~" || (flag === "+" && !!idempotencyKey);
      return send(config, { ...options, method, path: target, body, idempotencyKey, repeatable });
    };
    return (input?: unknown, options: CallOptions = {}) => {
      const answer = run(input, options);
      return call(flag === "-" ? answer.catch(missing) : answer);
    };
  };
  const client = build(routes, operation) as Client;
  client.request = request;
  client.events.publish = (events: NewEvent | readonly NewEvent[], { organisation, ...options }: CallOptions & { organisation?: string } = {}) =>
    request<never>({
      ...options,
      method: "POST",
      path: `/api/events/publish${query({ organisation })}`,
      body: events instanceof Array ? events.map(identified) : identified(events as NewEvent),
      repeatable: true,
    });
  return client;
}

/** An event with an id is stored once, however often it is sent. */
const identified = (event: NewEvent): NewEvent => ({ ...event, id: event.id ?? crypto.randomUUID() });

function build(route: Route, operation: (route: string) => unknown): unknown {
  if (typeof route === "string") return operation(route);
  return Object.fromEntries(Object.entries(route).map(([name, inner]) => [name, build(inner, operation)]));
}

function call<T>(answer: Promise<Answer<T>>): Call<T> {
  const data = answer.then((of) => of.data);
  const withResponse = () => {
    // Who takes the response handles the failure there.
    data.catch(() => {});
    return answer;
  };
  return Object.assign(data, { withResponse });
}

function missing(error: unknown): Answer<unknown> {
  if (isRestisError(error) && error.code === "not-found") return { data: null, response: new Response(null, { status: 404 }) };
  throw error;
}

/** Members of the input go into the path, the query and the body. */
function take(method: string, path: string, names: string, input: unknown): { target: string; body?: unknown } {
  const bodied = /^P/.test(method);
  if (bodied && !names && !path.includes("{")) return { target: `/api/${path}`, body: input };
  const rest: Record<string, unknown> = { ...(input as object) };
  const pick = (name: string) => {
    const value = rest[name];
    delete rest[name];
    return value;
  };
  const target = `/api/${path.replace(/{(\w+)}/g, (_, name: string) => segment(name, pick(name)))}`;
  if (!bodied) return { target: target + query(rest) };
  const search = query(Object.fromEntries(names.split(",").map((name) => [name, pick(name)])));
  return { target: target + search, body: Object.keys(rest).length ? rest : undefined };
}

/** A path segment; an address with `..` in it would be another function's. */
function segment(name: string, value: unknown): string {
  if (typeof value !== "string" || /^\.{0,2}$/.test(value)) throw new RestisError("invalid-request", `\`${name}\` must be a text that is not empty, \`.\` or \`..\``, { status: 400, attempts: 0 });
  return encodeURIComponent(value);
}

function query(values: Record<string, unknown>): string {
  const pairs = Object.entries(values).filter(([, value]) => value != null);
  return pairs.length ? `?${new URLSearchParams(pairs as [string, string][])}` : "";
}

import type { Call, Calls } from "./calls.js";
import type { Client } from "./client.js";
import { isRestisError } from "./error.js";
import type { CallOptions } from "./request.js";

type Function = (...given: never[]) => Call<unknown>;

/** The calls that read, by name: `session.list`, `users.sessions`, `cache.get`. */
export type CallPath = {
  [G in keyof Calls]: Calls[G] extends Function ? G : { [N in keyof Calls[G]]: `${G}.${N & string}` }[keyof Calls[G]];
}[keyof Calls];

/** The call of a name. */
export type CallAt<P extends CallPath> = P extends `${infer G extends keyof Calls}.${infer N}` ? Calls[G][N & keyof Calls[G]] : P extends keyof Calls ? Calls[P] : never;

/** What the call of a name takes. */
export type InputAt<P extends CallPath> = CallAt<P> extends (input: infer I, options?: CallOptions) => unknown ? I : never;

/** What the call of a name gives. */
export type DataAt<P extends CallPath> = CallAt<P> extends (...given: never[]) => Call<infer T> ? T : never;

/** Runs the call of a name. */
export function run<P extends CallPath>(client: Client, path: P, input: InputAt<P> | undefined, options?: CallOptions): Promise<DataAt<P>> {
  const [group = "", name] = path.split(".");
  const of = (client as unknown as Record<string, unknown>)[group];
  const call = (name ? (of as Record<string, unknown>)[name] : of) as (input: unknown, options?: CallOptions) => Promise<DataAt<P>>;
  return call(input, options);
}

/** Whether asking again may help: the client itself has already repeated what is harmless. */
export function mayHelp(error: unknown): boolean {
  return !isRestisError(error) || error.status === 0 || error.status >= 500 || error.status === 429;
}

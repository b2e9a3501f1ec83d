import { afterAll, beforeAll, beforeEach } from "vitest";
import { startFunctions, startStore, type Started } from "./testing/start.js";

export interface SetupOptions {
  /** A file of commands that the store begins with and returns to, one a line as `redis-cli` takes them. */
  seed?: string;
  /** Starts the functions too; their variables, such as `RATE_LIMIT_POLICIES`. */
  functions?: true | Record<string, string>;
  /** A store of `restis run` or `restis dev` that runs already, instead of one of this file's own. */
  running?: { url: string; token: string };
  /** Keeps what a test wrote for the next one: nothing resets the store but `reset()`. */
  keep?: boolean;
}

/** The store of a test file, from its first `beforeAll` to its last `afterAll`. */
export interface TestStore {
  /** The address of its REST API, and its token; they are in `process.env` too. */
  readonly url: string;
  readonly token: string;
  /** Where the functions are, and a service token with all scopes; in `process.env` as `API_URL` and `RESTIS_SERVICE_TOKEN`. */
  readonly functions: { url: string; token: string };
  /** Returns to the seed, or to an empty store, and to the machine's time. */
  reset(): Promise<void>;
  readonly clock: {
    /** Moves the time of the store, and of the functions, forward; gives the new one. */
    advance(ms: number): Promise<Date>;
    now(): Promise<Date>;
  };
}

/**
 * Gives a test file a store of its own, and resets it before each test.
 *
 * ```ts
 * const store = setupRestis({ seed: "fixtures.redis" });
 * test("a code ends after a minute", async () => {
 *   await sendCode("ada");
 *   await store.clock.advance(60_000);
 *   expect(await codeOf("ada")).toBeNull();
 * });
 * ```
 */
export function setupRestis(options: SetupOptions = {}): TestStore {
  const { seed, functions, running, keep } = options;
  if (functions && (seed !== undefined || running)) throw new Error("`functions` goes with neither `seed` nor `running`");
  let env: Record<string, string> | undefined;
  let started: Started | undefined;
  let before: Record<string, string | undefined> = {};

  const of = (name: string): string => {
    if (!env) throw new Error("the store is there from `beforeAll` on");
    return env[name] ?? "";
  };
  const control = async (path: string, init?: RequestInit): Promise<{ now_ms: number }> => {
    const headers = { authorization: `Bearer ${of("UPSTASH_REDIS_REST_TOKEN")}` };
    const response = await fetch(`${of("UPSTASH_REDIS_REST_URL")}/__restis/${path}`, { ...init, headers });
    const { result, error } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${error}`);
    return result;
  };
  const store: TestStore = {
    get url() {
      return of("UPSTASH_REDIS_REST_URL");
    },
    get token() {
      return of("UPSTASH_REDIS_REST_TOKEN");
    },
    get functions() {
      if (!functions) throw new Error("the functions are not started: setupRestis({ functions: true })");
      return { url: of("API_URL"), token: of("RESTIS_SERVICE_TOKEN") };
    },
    async reset() {
      await control("reset", { method: "POST" });
    },
    clock: {
      advance: async (ms) => new Date((await control("clock", { method: "POST", body: JSON.stringify({ advance_ms: ms }) })).now_ms),
      now: async () => new Date((await control("clock")).now_ms),
    },
  };

  beforeAll(async () => {
    if (!running) started = functions ? await startFunctions(functions === true ? {} : functions) : await startStore(seed);
    env = started ? started.env : { UPSTASH_REDIS_REST_URL: running!.url, UPSTASH_REDIS_REST_TOKEN: running!.token };
    before = Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]));
    Object.assign(process.env, env);
  });
  beforeEach(async () => {
    if (!keep) await store.reset();
  });
  afterAll(async () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    env = undefined;
    await started?.stop();
  });
  return store;
}

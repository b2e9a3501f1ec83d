import { post } from "./http.js";

/** Where a store speaks the Upstash REST API. */
export interface StoreAddress {
  url: string;
  token: string;
}

export type Command = (string | number)[];

/** Milliseconds that a request may take: a page waits for it. */
const TIMEOUT_MS = 1_500;
/** Failures in a row after which the store is left alone, and for how long. */
const FAILURES = 3;
const REST_MS = 2_000;

/** Sends commands over REST; those of one turn go as one request. */
export class Rest {
  #queue: { commands: Command[]; done: (results: unknown[]) => void; failed: (error: unknown) => void }[] = [];
  #failures = 0;
  #restsUntil = 0;

  constructor(
    private readonly address: StoreAddress,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  /** Runs commands in order; fails as a whole if one fails. */
  run(...commands: Command[]): Promise<unknown[]> {
    if (Date.now() < this.#restsUntil) return Promise.reject(new Error("the store is away"));
    return new Promise((done, failed) => {
      this.#queue.push({ commands, done, failed });
      if (this.#queue.length === 1) queueMicrotask(() => void this.#flush());
    });
  }

  /** Runs commands as one transaction, even while the store is left alone. */
  async transaction(commands: Command[]): Promise<unknown[]> {
    const results = await this.#post("multi-exec", commands);
    for (const { error } of results) if (error) throw new Error(error);
    return results.map(({ result }) => result);
  }

  async #flush(): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    try {
      const results = await this.#post("pipeline", queue.flatMap(({ commands }) => commands));
      let at = 0;
      for (const { commands, done, failed } of queue) {
        const own = results.slice(at, (at += commands.length));
        const error = own.find((one) => one.error)?.error;
        if (error) failed(new Error(error));
        else done(own.map(({ result }) => result));
      }
    } catch (error) {
      for (const { failed } of queue) failed(error);
    }
  }

  async #post(path: string, commands: Command[]): Promise<{ result?: unknown; error?: string }[]> {
    try {
      const url = `${this.address.url.replace(/\/+$/, "")}/${path}`;
      const results = (await post(url, this.address.token, commands, this.timeoutMs)) as { result?: unknown; error?: string }[];
      if (!Array.isArray(results)) throw new Error((results as { error?: string } | null)?.error ?? "the store refuses");
      this.#failures = 0;
      return results;
    } catch (error) {
      if (++this.#failures >= FAILURES) this.#restsUntil = Date.now() + REST_MS;
      throw error;
    }
  }
}

import { isRestisError } from "../error.js";
import { exchange } from "../exchange.js";

/** A grant as `POST /api/events/grants` gives it. */
export interface Grant {
  grant: string;
  expires_ms: number;
}

/**
 * Where grants come from: the address of a route that answers a POST with one, or a function. `null`
 * says that there is none, such as for somebody who is signed out.
 */
export type GrantSource = string | (() => Promise<Grant | null>);

/** The source gives no grant, or the functions do not accept it. */
export class Denied extends Error {}

/** Keeps a grant until it is nearly over. */
export class Grants {
  #pending: Promise<Grant> | undefined;
  #renewAt = 0;

  constructor(private readonly source: GrantSource | undefined) {}

  /** The grant to send; `undefined` where the client sends none. */
  async get(): Promise<string | undefined> {
    if (!this.source) return undefined;
    if (this.#pending && Date.now() >= this.#renewAt) this.#pending = undefined;
    this.#pending ??= this.#ask();
    return (await this.#pending).grant;
  }

  /** Milliseconds until there should be another one; at least 30 s, so that a clock that is ahead asks for few. */
  get renewInMs(): number | undefined {
    return this.source && this.#pending ? Math.max(0, this.#renewAt - Date.now()) : undefined;
  }

  /** The functions did not accept it. */
  drop(): void {
    this.#pending = undefined;
  }

  async #ask(): Promise<Grant> {
    this.#renewAt = Infinity;
    try {
      const grant = await (typeof this.source === "string" ? fromRoute(this.source) : this.source!());
      if (!grant) throw new Denied("there is no grant");
      this.#renewAt = Date.now() + Math.max(30_000, (grant.expires_ms - Date.now()) * 0.8);
      return grant;
    } catch (error) {
      this.#pending = undefined;
      throw error;
    }
  }
}

async function fromRoute(path: string): Promise<Grant | null> {
  try {
    return (await exchange<Grant>({}, { method: "POST", path })).data;
  } catch (error) {
    if (isRestisError(error) && (error.status === 401 || error.status === 403)) return null;
    throw error;
  }
}

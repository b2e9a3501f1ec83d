import { isRestisError } from "../error.js";
import { pause } from "../pause.js";
import { Denied, type Grants } from "./grant.js";

/** How long one who is denied waits, unless `retry` is called. */
const DENIED_MS = 300_000;

/** What a failure means for the next attempt. */
export interface Verdict {
  state: "waiting" | "denied";
  waitMs: number;
  /** Whether the functions refuse the request itself. */
  lasting: boolean;
}

/** Counts failures in a row and waits between attempts. */
export class Attempts {
  #failures = 0;
  #refusals = 0;
  #wake = new AbortController();

  constructor(
    private readonly grants: Grants,
    private readonly leastMs: number,
    private readonly mostMs: number,
  ) {}

  succeeded(): void {
    this.#failures = this.#refusals = 0;
  }

  judge(error: unknown): Verdict {
    const { status, retryAfterMs = 0 } = isRestisError(error) ? error : { status: 0 };
    let waitMs = 0;
    if (status === 401 || status === 403) {
      // The grant may have ended: another one is asked for at once, the first time.
      this.grants.drop();
      this.#refusals++;
    } else if (!(error instanceof Denied)) {
      // Half to all of a time that doubles with each failure.
      const most = Math.min(this.mostMs, this.leastMs * 2 ** this.#failures++);
      waitMs = Math.max(retryAfterMs, most * (0.5 + Math.random() / 2));
    }
    const denied = error instanceof Denied || this.#refusals > 1;
    return {
      state: denied ? "denied" : "waiting",
      waitMs: denied ? DENIED_MS : waitMs,
      lasting: status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status),
    };
  }

  pause(ms: number, signal: AbortSignal): Promise<void> {
    return pause(ms, signal, this.#wake.signal);
  }

  /** Ends the present pause. */
  wake(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Asks for another grant and tries at once. */
  retry(): void {
    this.grants.drop();
    this.succeeded();
    this.wake();
  }
}

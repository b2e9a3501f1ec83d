import type { ProblemStatus } from "./api/problems.gen.js";

/** Codes of the functions' problem documents. */
export type ProblemCode = keyof ProblemStatus;

/**
 * What a call can fail with: a code of the functions, or one of this client.
 *
 * - `network`: no answer came; the request may have been carried out or not.
 * - `deadline`: no answer came in `timeoutMs`.
 * - `unexpected-answer`: the answer is no problem document, such as the page of a proxy.
 */
export type ErrorCode = ProblemCode | "network" | "deadline" | "unexpected-answer";

/** A problem document (RFC 9457) as the functions send it. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  retry_after_ms?: number | null;
  [member: string]: unknown;
}

/** Members that some problems have beside those of all. */
interface ProblemMembers {
  "rate-limited": { retry_after_ms: number | null; "violated-policies"?: string[] };
  "session-limit": { live: number };
  "session-conflict": { version: number };
  "step-up-required": { max_age_seconds: number };
  "field-read-only": { field: string };
  "history-reset": { cursor: string; reason: string };
  "schema-mismatch": { errors: unknown[] };
  "outcome-unknown": { id?: string; source?: string; ids?: string[] };
}

/** The problem document of a code; an error of this client has none. */
export type ProblemOf<C extends ErrorCode> = C extends keyof ProblemMembers
  ? ProblemDocument & ProblemMembers[C]
  : C extends ProblemCode
    ? ProblemDocument
    : ProblemDocument | undefined;

/** What is known about a failed call. */
export interface Failure {
  status?: number;
  problem?: ProblemDocument;
  requestId?: string;
  retryAfterMs?: number;
  attempts?: number;
  cause?: unknown;
}

/** A call failed. Decide by `code`; narrow with {@link isRestisError}. */
export class RestisError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = "RestisError";
  /** Why; a code that this version does not know is to be read as its `status`. */
  readonly code: C;
  /** The HTTP status; 0 when no answer came. */
  readonly status: C extends ProblemCode ? ProblemStatus[C] : number;
  /** The problem document that the functions sent. */
  readonly problem: ProblemOf<C>;
  /** The `x-request-id`, which the functions' log has too. */
  readonly requestId: string | undefined;
  /** How long to wait before asking again; absent where waiting does not help. */
  readonly retryAfterMs: number | undefined;
  /** How many times the request was sent. */
  readonly attempts: number;

  constructor(code: C, message: string, failure: Failure = {}) {
    super(message, failure.cause === undefined ? undefined : { cause: failure.cause });
    this.code = code;
    this.status = (failure.status ?? 0) as typeof this.status;
    this.problem = failure.problem as ProblemOf<C>;
    this.requestId = failure.requestId;
    this.retryAfterMs = failure.retryAfterMs;
    this.attempts = failure.attempts ?? 1;
  }
}

/** Each error by its code. */
export type AnyRestisError = { [C in ErrorCode]: RestisError<C> }[ErrorCode];

/** Whether a call of this client failed with this; then `error.code` narrows the other members. */
export function isRestisError(error: unknown): error is AnyRestisError {
  return error instanceof RestisError;
}

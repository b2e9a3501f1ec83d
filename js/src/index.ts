export { createClient, type Client } from "./client.js";
export type { Call, Calls, Decision, NewEvent, Page, Placed, StoredEvent } from "./calls.js";
export { isRestisError, RestisError, type AnyRestisError, type ErrorCode, type ProblemCode, type ProblemDocument } from "./error.js";
export type { Address, Answer, Exchange } from "./exchange.js";
export type { CallOptions, ClientConfig, RequestInput } from "./request.js";
export type * from "./api/types.gen.js";

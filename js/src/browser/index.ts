export { EventStream, type EventStreamOptions, type LiveEvent, type StreamState, type Subscriber } from "./stream.js";
export { Outbox, type OutboxOptions, type OutboxState, type OutboxStatus } from "./outbox.js";
export { SseParser, type SseMessage } from "./sse.js";
export { Denied, type Grant, type GrantSource } from "./grant.js";

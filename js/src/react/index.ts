"use client";
export { useSession, type UseSession, type UseSessionOptions } from "./session.js";
export { SessionStore, type SessionSnapshot } from "./session-store.js";
export { useEvents, useEventStream, useOutbox, type UseEventsOptions } from "./events.js";
export { useRateLimit, type UseRateLimit } from "./ratelimit.js";

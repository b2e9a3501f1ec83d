import type { Page } from "../calls.js";
import { isRestisError } from "../error.js";
import { exchange } from "../exchange.js";
import { SseParser, type SseMessage } from "./sse.js";

/** What is read, from where on. */
export interface Reading {
  /** Where the functions are. */
  url: string;
  /** `type`, `organisation` and such. */
  query: Record<string, string>;
  after: string | undefined;
  grant: string | undefined;
  signal: AbortSignal;
}

/** Comments come every 15 seconds: after three without any byte the connection is dead. */
const IDLE_MS = 45_000;

function get<T>({ url, query, after, grant, signal }: Reading, route: string, timeoutMs: number) {
  const search = new URLSearchParams(after === undefined ? query : { ...query, after });
  const path = `/api/events/${route}?${search}`;
  return exchange<T>({ url, token: grant }, { method: "GET", path, signal, timeoutMs });
}

/**
 * Reads the stream until the server ends it; `heard` gets each message. Where the platform does not
 * stream it asks for page after page.
 *
 * Resolves with the pause that the server asks for; rejects with a `RestisError`, or the signal's reason.
 */
export async function follow(reading: Reading, opened: () => void, heard: (message: SseMessage) => void): Promise<number | undefined> {
  let response: Response;
  try {
    ({ data: response } = await get<Response>(reading, "stream", 30_000));
  } catch (error) {
    if (isRestisError(error) && error.code === "not-streaming") return poll(reading, opened, heard);
    throw error;
  }
  opened();
  const parser = new SseParser(heard);
  const reader = response.body!.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      const idle = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("no sign of life")), IDLE_MS);
      });
      const { done, value } = await Promise.race([reader.read(), idle]);
      clearTimeout(timer);
      if (done) return parser.retryMs;
      parser.feed(value);
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}

async function poll(reading: Reading, opened: () => void, heard: (message: SseMessage) => void): Promise<never> {
  for (let { after } = reading; ; ) {
    const page = (await get<Page>({ ...reading, after }, "poll", 60_000)).data;
    opened();
    each(page, heard);
    after = page.cursor;
  }
}

/** All that a history has after a place, page by page. */
export async function catchUp(reading: Reading, heard: (message: SseMessage) => void): Promise<void> {
  for (let { after } = reading, more = true; more; ) {
    const page: Page = (await get<Page>({ ...reading, after }, "history", 10_000)).data;
    each(page, heard);
    more = page.has_more && page.cursor !== after;
    after = page.cursor;
  }
}

/** A page as the messages that a stream would have sent. */
function each(page: Page, heard: (message: SseMessage) => void): void {
  const { cursor, reason } = page;
  for (const { event, cursor: id } of page.events) heard({ event: event.type, data: JSON.stringify(event), id });
  if (page.reset) heard({ event: "reset", data: JSON.stringify({ cursor, reason }), id: cursor });
  // The place moves past what the query leaves out.
  else heard({ event: "", data: "", id: cursor });
}

import "server-only";
import { cache } from "react";
import type { StoredEvent } from "restis";
import { functions } from "restis/next";

/** Events of some types, and the place up to which they were read. */
export interface History {
  events: StoredEvent[];
  cursor: string;
}

/** Most pages that are read: what is older is not shown. */
const MAX_PAGES = 40;

/** The whole history of some types; asked for once per request. */
export const readHistory = cache(async (types: string): Promise<History> => {
  const events: StoredEvent[] = [];
  let cursor: string | undefined;
  for (let count = 0; count < MAX_PAGES; count++) {
    const page = await functions().events.history({ type: types, after: cursor, limit: 500 });
    for (const { event } of page.events) events.push(event);
    cursor = page.cursor;
    if (!page.has_more) break;
  }
  return { events, cursor: cursor ?? "" };
});

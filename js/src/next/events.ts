import type { SessionView } from "../api/types.gen.js";
import type { Client } from "../client.js";
import { isRestisError } from "../error.js";
import { functions } from "./client.js";
import { isSameSite } from "./request.js";
import { getSession } from "./session.js";

/** Publishes an event, or up to 100; a repeat stores nothing twice. */
export const publish: Client["events"]["publish"] = (events, options) => functions().events.publish(events, options);

/** What a visitor may read, and send from an outbox. */
export interface Granted {
  /** Event types: `a.b`, everything below `a.*`. */
  types: string[];
  /** Types that the visitor's outbox may send. */
  publish?: string[];
  /** Seconds, 1 to 3600; 300 when absent. */
  ttlSeconds?: number;
  /** The history of an organisation; that of the session when absent. */
  organisation?: string | null;
}

/**
 * A route handler that gives whoever is signed in a grant, as `EventStream` and `Outbox` ask for it.
 *
 * ```ts
 * // app/auth/grant/route.ts
 * export const POST = grantRoute(({ user }) => ({ types: ["booking.*"], publish: [`note.${user}.*`] }));
 * ```
 */
export function grantRoute(granted: Granted | ((session: SessionView & { user: string }) => Granted | null | Promise<Granted | null>)): (request: Request) => Promise<Response> {
  return async (request) => {
    if (!isSameSite(request.headers)) return refuse(403);
    try {
      const session = await getSession();
      if (!session?.user) return refuse(401);
      const of = typeof granted === "function" ? await granted({ ...session, user: session.user }) : granted;
      if (!of) return refuse(403);
      const { types, publish, ttlSeconds, organisation = session.organisation } = of;
      const grant = await functions().events.grant({ types, publish, ttl_seconds: ttlSeconds, organisation, subject: session.user });
      return Response.json(grant, { headers: { "cache-control": "no-store" } });
    } catch (error) {
      if (!isRestisError(error)) throw error;
      // A token without the scope is a fault of the site, not of the visitor.
      const away = error.status === 0 || error.status >= 500 || error.status === 429;
      return refuse(away ? 503 : 500, error.retryAfterMs);
    }
  };
}

function refuse(status: number, retryAfterMs?: number): Response {
  const headers: HeadersInit = { "cache-control": "no-store" };
  if (retryAfterMs !== undefined) headers["retry-after"] = String(Math.ceil(retryAfterMs / 1000));
  return new Response(null, { status, headers });
}

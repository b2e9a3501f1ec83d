// The functions, called from the server. The service token never reaches the browser.
import "server-only";
import { headers } from "next/headers";
import { cache } from "react";

export type Session = { id: string; user?: string; data: Record<string, unknown> };

/** Sends a request to the functions with the service token. */
export async function call(path: string, body: unknown, more: HeadersInit = {}): Promise<Response> {
  return fetch(new URL(path, process.env.API_URL), {
    method: "POST",
    headers: {
      authorization: `Bearer ${process.env.RESTIS_SERVICE_TOKEN}`,
      "content-type": "application/json",
      ...more,
    },
    body: JSON.stringify(body),
    cache: "no-store",
    signal: AbortSignal.timeout(5_000),
  });
}

/** The visitor's session, asked for once per page however many components want it. */
export const session = cache(async (): Promise<Session | null> => {
  const cookie = (await headers()).get("cookie");
  if (!cookie) return null;
  const response = await fetch(new URL("/api/session", process.env.API_URL), {
    headers: { cookie },
    cache: "no-store",
    signal: AbortSignal.timeout(5_000),
  });
  // A store that is away must not look like a visitor who is signed out.
  if (!response.ok) throw new Error(`the session cannot be read: ${response.status}`);
  return (await response.json()).session;
});

/** Whether a page of this site sent the request; route handlers have no check of their own. */
export function isSameSite(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  return site === "same-origin" || site === "none";
}

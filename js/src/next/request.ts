import { headers } from "next/headers";
import { RestisError } from "../error.js";

/** What is read of a request's headers. */
export type HeadersLike = Pick<Headers, "get">;

/**
 * Whether a page of this site sent the request, or no browser did.
 *
 * Server Actions are checked by Next.js; route handlers are not.
 */
export function isSameSite(of: HeadersLike): boolean {
  const site = of.get("sec-fetch-site");
  if (site) return site === "same-origin" || site === "none";
  const origin = of.get("origin");
  if (!origin) return true;
  const host = of.get("x-forwarded-host") ?? of.get("host");
  return URL.canParse(origin) && new URL(origin).host === host;
}

/** Refuses what another site makes its visitors send. */
export async function requireSameSite(): Promise<HeadersLike> {
  const of = await headers();
  if (!isSameSite(of)) throw new RestisError("csrf-failed", "the request comes from another site", { status: 403, attempts: 0 });
  return of;
}

/**
 * The visitor's address: the entry of `X-Forwarded-For` that the outermost of `proxies` trusted proxies
 * wrote. Without a proxy in front a visitor can write what they want there.
 */
export function clientIp(of: HeadersLike, proxies = 1): string | undefined {
  const entries = of.get("x-forwarded-for")?.split(",") ?? [];
  return entries.at(-proxies)?.trim().replace(/^::ffff:/, "") || undefined;
}

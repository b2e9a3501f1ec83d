import { cookies } from "next/headers";
import { redirect } from "next/navigation";
import { cache } from "react";
import type { CreateRequest, SessionView } from "../api/types.gen.js";
import { isRestisError, RestisError } from "../error.js";
import { functions } from "./client.js";
import { clientIp, requireSameSite } from "./request.js";
import { parseSetCookie } from "./set-cookie.js";

/**
 * The visitor's session, or `null`; asked for once per request however many components want it.
 *
 * It reads cookies: call it below a `<Suspense>`, not in `use cache`. It throws when the store is away,
 * which must not look like a visitor who is signed out.
 */
export const getSession: () => Promise<SessionView | null> = cache(async () => {
  const cookie = toHeader(await cookies());
  if (!cookie) return null;
  try {
    return (await functions().session.get({}, { cookie })).session ?? null;
  } catch (error) {
    // Only cookies that are not valid are limited.
    if (isRestisError(error) && error.code === "rate-limited") return null;
    throw error;
  }
});

/** The session; a visitor without one is sent to `path`, or gets a `session-missing` error. */
export async function requireSession(path?: string): Promise<SessionView> {
  const session = await getSession();
  if (session) return session;
  if (path) redirect(path);
  throw new RestisError("session-missing", "nobody is signed in", { status: 401, attempts: 0 });
}

/** Who signs in: what `POST /api/sessions` takes. */
export interface SignIn extends CreateRequest {
  /** How many trusted proxies are in front; see `clientIp`. */
  proxies?: number;
}

/**
 * Begins a session for somebody whose credentials were checked, and hands its cookie on. In a Server
 * Action or a route handler; a session that the browser has ends in the same step.
 */
export async function signIn({ proxies, ...who }: SignIn): Promise<SessionView> {
  const of = await requireSameSite();
  const jar = await cookies();
  const device = who.assertion ? {} : { user_agent: of.get("user-agent")?.slice(0, 512), ip: clientIp(of, proxies) };
  const { data, response } = await functions().sessions.create({ ...device, ...who }, { cookie: toHeader(jar) }).withResponse();
  setCookies(jar, response);
  return data;
}

/** Ends the session and removes its cookie. In a Server Action or a route handler. */
export async function signOut(): Promise<void> {
  await requireSameSite();
  const jar = await cookies();
  const cookie = toHeader(jar);
  if (!cookie) return;
  // That the request comes from this site was checked above.
  const headers = { "sec-fetch-site": "same-origin" };
  const { response } = await functions().session.end({}, { cookie, headers }).withResponse();
  setCookies(jar, response);
}

type Jar = Awaited<ReturnType<typeof cookies>>;

/** The `Cookie` header; in Server Actions with what they have set. */
function toHeader(jar: Jar): string {
  return jar.getAll().map(({ name, value }) => `${name}=${encodeURIComponent(value)}`).join("; ");
}

function setCookies(jar: Jar, response: Response): void {
  for (const line of response.headers.getSetCookie()) jar.set(parseSetCookie(line));
}

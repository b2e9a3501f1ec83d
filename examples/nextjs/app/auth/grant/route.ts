import { call, isSameSite, session } from "../../../lib/functions";

/** A grant to read notes for whoever is signed in. */
export async function POST(request: Request) {
  if (!isSameSite(request)) return new Response(null, { status: 403 });
  const current = await session();
  if (!current) return new Response(null, { status: 401 });
  const granted = await call("/api/events/grants", { types: ["note.*"], ttl_seconds: 300, subject: current.user });
  return new Response(granted.body, { status: granted.status, headers: { "content-type": "application/json", "cache-control": "no-store" } });
}

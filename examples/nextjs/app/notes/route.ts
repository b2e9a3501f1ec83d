import { call, isSameSite, session } from "../../lib/functions";

/** Publishes a note of whoever is signed in. */
export async function POST(request: Request) {
  if (!isSameSite(request)) return new Response(null, { status: 403 });
  const current = await session();
  if (!current) return new Response(null, { status: 401 });
  const { id, text } = await request.json();
  if (typeof id !== "string" || typeof text !== "string" || text.length > 200) return new Response(null, { status: 400 });
  const event = { id, type: "note.added", source: "/notes", data: { text, by: current.user } };
  const published = await call("/api/events/publish", event, { "idempotency-key": id });
  return new Response(null, { status: published.ok ? 204 : 503 });
}

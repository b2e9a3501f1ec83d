import { call, isSameSite } from "../../../lib/functions";

const home = (problem?: string) => new Response(null, { status: 303, headers: { location: problem ? `/?problem=${problem}` : "/" } });

export async function POST(request: Request) {
  if (!isSameSite(request)) return new Response(null, { status: 403 });
  const user = (await request.formData()).get("user");
  if (typeof user !== "string" || !user.trim()) return home("invalid");

  const limit = await call("/api/ratelimit", { identifier: `login:${user}` });
  if (!limit.ok) return home(limit.status === 429 ? "rate-limited" : "unavailable");

  // Here the application checks a password, a passkey or an identity provider's answer.

  const created = await call("/api/sessions", { user, methods: ["password"] }, { cookie: request.headers.get("cookie") ?? "" });
  if (!created.ok) return home("unavailable");
  const response = home();
  for (const cookie of created.headers.getSetCookie()) response.headers.append("set-cookie", cookie);
  return response;
}

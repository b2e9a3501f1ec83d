import { withRateLimit } from "restis/next";

export const GET = withRateLimit(async (request: Request) => Response.json({ found: new URL(request.url).searchParams.get("q") }), {
  policy: "votes",
  identifier: (headers) => `search:${headers.get("x-test") ?? ""}`,
});

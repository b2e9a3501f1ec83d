import { rateLimit } from "restis/next";

export const proxy = rateLimit({ policy: "pages" });
export const config = { matcher: "/limited" };

import { cacheLife, cacheTag } from "next/cache";
import { tagOf } from "restis/next/cache";

/** A value that differs with each load. */
export async function report(): Promise<string> {
  "use cache";
  cacheLife("max");
  cacheTag("report", tagOf("tagged:{organisation}:{tag}", "acme", "report"));
  return crypto.randomUUID();
}

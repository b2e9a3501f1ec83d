import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

/** The most that an answer may have. */
const MAX_BYTES = 32 << 20;
const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };

/**
 * Posts JSON and reads JSON.
 *
 * Not by `fetch`: Next.js replaces it, and its own never answers while a page is prerendered.
 */
export function post(url: string, token: string, body: unknown, timeoutMs: number): Promise<unknown> {
  const secure = url.startsWith("https:");
  const text = JSON.stringify(body);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  const options = { method: "POST", headers, agent: secure ? agents.https : agents.http, signal: AbortSignal.timeout(timeoutMs) };
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on("data", (part: Buffer) => {
        parts.push(part);
        if ((size += part.length) > MAX_BYTES) response.destroy(new Error("the answer of the store is too large"));
      });
      response.on("error", reject);
      response.on("end", () => {
        try {
          resolve(JSON.parse(Buffer.concat(parts).toString()));
        } catch {
          reject(new Error(`the store answers ${response.statusCode}`));
        }
      });
    });
    request.on("error", reject);
    request.end(text);
  });
}

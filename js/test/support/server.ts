// A server that answers as a test says.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Fake {
  url: string;
  requests: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[];
  stop(): Promise<void>;
}

type Answer = (response: ServerResponse, request: IncomingMessage, count: number) => void;

/** Listens on a free port; `answer` gets the number of the request, from 1. */
export async function serve(answer: Answer): Promise<Fake> {
  const requests: Fake["requests"] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    requests.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
    answer(response, request, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers with a problem document. */
export function problem(response: ServerResponse, status: number, code: string, more: object = {}, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/problem+json", ...headers });
  response.end(JSON.stringify({ type: `urn:restis:problem:${code}`, title: "A problem", status, code, ...more }));
}

/** Answers with JSON. */
export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

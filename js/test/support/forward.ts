// A server in front of another one, which can be away.
import { createServer, request as forward } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

export interface Forwarder {
  url: string;
  /** Requests so far: method and path. */
  asked: string[];
  /** How many streams are open at the moment. */
  streams: number;
  away: boolean;
  stop(): void;
}

export async function startForwarder(target: () => string): Promise<Forwarder> {
  const server = createServer((request, response) => {
    forwarder.asked.push(`${request.method} ${request.url}`);
    if (forwarder.away) return void response.destroy();
    const out = forward(new URL(request.url ?? "", target()), { method: request.method, headers: request.headers }, (inner) => {
      if (inner.headers["content-type"]?.startsWith("text/event-stream")) {
        forwarder.streams++;
        response.once("close", () => forwarder.streams--);
      }
      response.writeHead(inner.statusCode ?? 502, inner.headers);
      inner.pipe(response);
      inner.once("close", () => response.destroy());
    });
    out.on("error", () => response.destroy());
    response.on("close", () => out.destroy());
    request.pipe(out);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const forwarder: Forwarder = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    streams: 0,
    away: false,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  return forwarder;
}

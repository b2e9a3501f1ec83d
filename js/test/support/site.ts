// A site as users have one: a page, `/api/*` handed on to the functions, a route that gives grants.
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createClient, type Client } from "restis";
import type { Restis } from "./restis.js";

export interface Site {
  url: string;
  client: Client;
  /** Requests to the functions by path. */
  requests: string[];
  /** How many streams are open at the moment. */
  streams: number;
  /** Requests for which this gives a status are answered with it and reach nothing. */
  fail: (path: string) => number | undefined;
  /** Calls this after the functions have answered; what returns true loses the answer. */
  lose: (path: string) => boolean;
  stop(): Promise<void>;
}

/** Serves a page whose script is `code`, with `restis/…` bundled in. */
export async function startSite(functions: () => Restis, code: string): Promise<Site> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root, loader: "tsx" },
    bundle: true,
    format: "esm",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"development"' },
    write: false,
  });
  const script = outputFiles[0]!.text;
  const server = createServer((request, response) => void answer(request, response));
  const site: Site = {
    url: "",
    get client() {
      return createClient({ url: functions().url, token: functions().token });
    },
    requests: [],
    streams: 0,
    fail: () => undefined,
    lose: () => false,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://site");
    if (pathname.startsWith("/api/") || pathname === "/auth/grant") {
      site.requests.push(pathname);
      const status = site.fail(pathname);
      if (status) return void response.writeHead(status, { "content-type": "application/json" }).end("{}");
    }
    if (pathname === "/auth/grant") {
      const subject = searchParams.get("subject") ?? "";
      try {
        const grant = await site.client.events.grant({ types: ["note.*"], publish: ["note.*"], subject, ttl_seconds: 300 });
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(grant));
      } catch {
        response.writeHead(503).end();
      }
    } else if (pathname === "/auth/login") {
      const { response: created } = await site.client.sessions.create({ user: searchParams.get("user") ?? "" }).withResponse();
      response.writeHead(204, { "set-cookie": created.headers.getSetCookie() }).end();
    } else if (pathname.startsWith("/api/")) {
      pass(pathname, request, response);
    } else if (pathname === "/script.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(script);
    } else {
      response.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><title>test</title><div id="root"></div><script type="module" src="/script.js"></script>');
    }
  }

  function pass(path: string, request: IncomingMessage, response: ServerResponse): void {
    const target = new URL(request.url ?? "", functions().url);
    const out = forward(target, { method: request.method, headers: request.headers }, (inner) => {
      if (site.lose(path)) return void response.destroy();
      if (path.endsWith("/stream")) {
        site.streams++;
        response.once("close", () => site.streams--);
      }
      response.writeHead(inner.statusCode ?? 502, inner.headers);
      inner.pipe(response);
      inner.once("close", () => response.destroy());
    });
    out.on("error", () => response.destroy());
    response.on("close", () => out.destroy());
    request.pipe(out);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  site.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return site;
}

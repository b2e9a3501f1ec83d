// A REST server that fails as the first part of the path says.
import { createServer } from "node:http";

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body);
};

const faults = {
  slow() {},
  html: (response) => { response.writeHead(200, { "content-type": "text/html" }); response.end("<h1>hello</h1>"); },
  notjson: (response) => json(response, 200, "{\"result\":"),
  nothttp: (response) => response.socket.end("what is this\r\n\r\n"),
  unauthorized: (response) => json(response, 401, "{\"error\":\"WRONGPASS invalid or missing auth token\"}"),
  busy: (response) => json(response, 429, "{\"error\":\"slow down\"}", { "retry-after": "30" }),
  unavailable: (response) => json(response, 503, "{\"error\":\"ERR no database\"}"),
  truncated(response) {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write("{\"result\":", () => response.socket.destroy());
  },
  reset: (response) => response.socket.resetAndDestroy(),
  redirect: (response) => { response.writeHead(302, { location: "/ok/" }); response.end(); },
  huge(response) {
    response.writeHead(200, { "content-type": "application/json", "content-length": String(100 * 2 ** 20) });
    response.write("{");
  },
  ok: (response) => json(response, 200, "{\"result\":1}"),
};

/**
 * The server: `seen` counts requests by fault; a command on a key with `hang` is never answered.
 * `through` hands everything else to a store.
 */
export async function startFaults(store) {
  const seen = {};
  const server = createServer((request, response) => {
    const name = request.url.split("/")[1];
    seen[name] = (seen[name] ?? 0) + 1;
    let body = "";
    response.on("error", () => {});
    request.on("data", (data) => { body += data; });
    request.on("end", async () => {
      if (body.includes("hang")) return;
      if (name !== "through") return faults[name](response);
      const { "content-type": type, authorization, "upstash-encoding": encoding } = request.headers;
      const answer = await fetch(store + request.url.slice("/through".length), {
        method: "POST",
        headers: { "content-type": type, authorization, "upstash-encoding": encoding },
        body,
      });
      json(response, answer.status, await answer.text());
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    seen,
    url: (name) => `http://127.0.0.1:${server.address().port}/${name}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** An address of which nobody listens. */
export async function refused() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

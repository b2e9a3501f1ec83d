// `probe` behind the fetch handler of a worker: the query says where the functions are.
import { probe } from "./probe.js";

async function answer(request: Request): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const of = (name: string) => query.get(name) ?? "";
  try {
    return Response.json(await probe(of("url"), of("token"), of("organisation")));
  } catch (error) {
    return new Response(String((error as Error).stack), { status: 500 });
  }
}

// edge-runtime listens for events, workerd calls the exported handler.
const scope = globalThis as unknown as { EdgeRuntime?: string; addEventListener(name: string, listener: (event: never) => void): void };
if (scope.EdgeRuntime) {
  scope.addEventListener("fetch", (event: { request: Request; respondWith(response: Promise<Response>): void }) => event.respondWith(answer(event.request)));
}

export default { fetch: answer };

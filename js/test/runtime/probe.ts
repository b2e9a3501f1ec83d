// What the client does in every runtime; the same module runs in Node, Bun, Deno, edge-runtime and workerd.
import { createClient, isRestisError } from "restis";

export interface Seen {
  limit: boolean[];
  events: unknown[];
  cached: unknown;
  problem: string;
  deadline: string;
}

export async function probe(url: string, token: string, organisation: string): Promise<Seen> {
  const client = createClient({ url, token });
  const code = (error: unknown) => (isRestisError(error) ? error.code : String(error));
  const identifier = `probe-${organisation}`;
  const limit = [
    await client.ratelimit.check({ identifier, cost: 100 }),
    await client.ratelimit.check({ identifier }),
  ].map(({ allowed }) => allowed);
  const first = await client.events.publish({ type: "probe.begun" }, { organisation });
  await client.events.publish([{ type: "probe.run", data: "grüezi" }], { organisation });
  const page = await client.events.history({ organisation, after: first.cursor ?? "" });
  const key = "probe/é";
  await client.cache.put({ organisation, key, value: [1], fresh_seconds: 60 });
  const entry = await client.cache.get({ organisation, key });
  return {
    limit,
    events: page.events.map(({ event }) => event.data),
    cached: entry?.value,
    problem: await client.ratelimit.peek({ identifier, policy: "none" }).then(() => "none", code),
    deadline: await client.events.poll({ after: page.cursor, organisation }, { timeoutMs: 50 }).then(() => "none", code),
  };
}

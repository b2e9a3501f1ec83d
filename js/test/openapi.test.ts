// The generated types and the table of routes against the functions' description.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createClient } from "restis";

const text = readFileSync(new URL("../../handlers/openapi.json", import.meta.url));

interface Described {
  parameters?: { name: string; in: string }[];
  requestBody?: unknown;
}

test("src/api is generated from the present description", () => {
  const digest = createHash("sha256").update(text).digest("hex");
  for (const name of ["types", "problems"]) {
    const made = readFileSync(new URL(`../src/api/${name}.gen.ts`, import.meta.url), "utf8");
    assert.ok(made.includes(digest), `src/api/${name}.gen.ts is old: npm --prefix js run generate`);
  }
});

test("each function has a call that sends what is described", async () => {
  const paths: Record<string, Record<string, Described>> = JSON.parse(String(text)).paths;
  const described = new Map<string, Described>(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, of]) => [`${method.toUpperCase()} ${path}`, of] as const),
    ),
  );
  // Senders sign their webhooks themselves; the timer of a platform calls with GET; monitors have a path of their own.
  for (const left of ["POST /api/events/webhooks/{sender}", "GET /api/events/work", "GET /cache/redis/metrics"]) assert.ok(described.delete(left), left);

  let sent = { method: "", url: "", body: "" };
  const client = createClient({
    url: "http://x.invalid",
    fetch: async (url, init) => {
      sent = { method: init?.method ?? "", url: String(url), body: String(init?.body ?? "") };
      return Response.json({});
    },
  });
  // Every name that is a parameter of some function, with a value that shows where it went.
  const named = new Map([...described.values()].flatMap(({ parameters = [] }) => parameters.map((of) => [of.name, `at-${of.name}`])));
  const called = new Set<string>();
  const each = async (group: object): Promise<void> => {
    for (const [name, value] of Object.entries(group)) {
      if (typeof value === "object") await each(value);
      else if (name !== "request") {
        await value({ type: "a.b", member: 1, ...Object.fromEntries(named) }, { organisation: "at-organisation" });
        const url = new URL(sent.url);
        const path = url.pathname.replace(/at-(\w+)/g, "{$1}");
        const of = described.get(`${sent.method} ${path}`);
        assert.ok(of, `${name}: ${sent.method} ${path} is not described`);
        called.add(`${sent.method} ${path}`);
        if (of.requestBody || sent.method === "POST" || sent.method === "PUT") {
          const query = (of.parameters ?? []).filter((one) => one.in === "query").map((one) => one.name);
          assert.deepEqual([...url.searchParams.keys()].sort(), query.sort(), `${name}: query`);
        }
        if (of.requestBody) assert.match(sent.body, /"member":1/, `${name}: body`);
      }
    }
  };
  await each(client);
  assert.deepEqual([...described.keys()].filter((one) => !called.has(one)), []);
});

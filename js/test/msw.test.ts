// The answers of `restis/msw` against the description of the functions, which is made from their code.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { setupServer } from "msw/node";
import { handlers } from "restis/msw";

const text = readFileSync(new URL("../../handlers/openapi.json", import.meta.url), "utf8");
interface Described {
  operationId: string;
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
const paths: Record<string, Record<string, Described>> = JSON.parse(text).paths;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(JSON.parse(text), "api");

const server = setupServer();
before(() => server.listen({ onUnhandledRequest: "error" }));
after(() => server.close());

/** Members that some request needs; a function takes those that it knows. */
const body = { identifier: "ada", user: "ada", type: "a.b", keys: ["a"], entries: [], value: 1, client: "c1", epoch: 1, types: ["a.*"] };

/** What `operation` answers, checked: a status that is described, with a body of its schema. */
async function conforms(path: string, method: string, { operationId, responses }: Described): Promise<number> {
  const url = `http://functions.example${path.replace(/{\w+}/g, "ada")}?identifier=ada`;
  const sends = /post|put|patch/.test(method);
  const response = await fetch(url, { method: method.toUpperCase(), body: sends ? JSON.stringify(body) : undefined, headers: { "content-type": "application/json" } });
  const described = responses[response.status];
  assert.ok(described, `${operationId}: ${response.status} is not described`);
  const type = response.headers.get("content-type")?.split(";")[0];
  if (type === "text/event-stream") void response.body?.cancel();
  else if (response.status !== 204 && type !== "text/plain") {
    const schema = described.content?.[type ?? ""]?.schema;
    assert.ok(schema, `${operationId}: ${type} is not described`);
    const here = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/'));
    const valid = ajv.validate(here, await response.json());
    assert.ok(valid, `${operationId}: ${ajv.errorsText()}`);
  }
  return response.status;
}

test("every function has an answer that is described", async () => {
  const left = new Set(["POST /api/events/webhooks/{sender}", "GET /api/events/work", "GET /cache/redis/metrics"]);
  for (const user of [undefined, "ada"]) {
    const statuses = new Set<number>();
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, described] of Object.entries(methods)) {
        if (left.has(`${method.toUpperCase()} ${path}`)) continue;
        server.resetHandlers(...handlers({ user }));
        statuses.add(await conforms(path, method, described));
      }
    }
    assert.ok(statuses.has(200) && statuses.has(201) && statuses.has(204));
    assert.equal(statuses.has(401), user === undefined);
  }
});

test("the check finds an answer that is not of the schema", () => {
  assert.equal(ajv.validate({ $ref: "api#/components/schemas/DecisionBody" }, { allowed: true }), false);
});

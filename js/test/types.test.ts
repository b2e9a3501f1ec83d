// What the compiler must accept and refuse; checked when the tests are compiled.
import { test } from "node:test";
import { createClient, isRestisError, type Verdict } from "restis";

export async function typed(): Promise<void> {
  const client = createClient();
  // @ts-expect-error an identifier is needed
  await client.ratelimit.check({ policy: "login" });
  // @ts-expect-error no such member
  await client.ratelimit.check({ identifier: "a", costs: 1 });
  // @ts-expect-error the key is needed
  await client.cache.get({ organisation: "acme" });
  const one: Verdict = await client.events.publish({ type: "a.b", extension: 1 });
  const many: Verdict[] = await client.events.publish([{ type: "a.b" }]);
  const nothing: void = await client.session.end();
  const text: string | { view: string } = await client.metrics();
  void [one, many, nothing, text];
  try {
    await client.session.list();
  } catch (error) {
    if (!isRestisError(error)) throw error;
    // @ts-expect-error no such code
    if (error.code === "no-such-code") return;
    if (error.code === "session-limit") {
      const live: number = error.problem.live;
      const status: 409 = error.status;
      void [live, status];
    }
    if (error.code === "step-up-required") {
      const seconds: number = error.problem.max_age_seconds;
      // @ts-expect-error another problem's member
      const live: number = error.problem.live;
      void [seconds, live];
    }
    if (error.code === "network") {
      const none: string | undefined = error.problem?.title;
      void none;
    }
  }
}

test("the types are as stated (compiled)", () => {});

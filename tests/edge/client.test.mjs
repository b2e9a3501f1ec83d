// The client on WebAssembly, in Node and in workerd: what holds natively holds there.
//
// RESTIS_BIN is the program `restis`, RESTIS_EDGE the directory that .ci/wasm has filled.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { refused, startFaults } from "./faults.mjs";
import { startRestis, startWorkerd } from "./workerd.mjs";

const built = process.env.RESTIS_EDGE;
const program = (name) => join(built, name);

/** Most bytes, compressed, of a client with GET, SET and a limit. */
const SIZE = 200_000;

const publishing = (value) => {
  if (!value?.publish) return value;
  const [url, channel, texts] = value.publish;
  return async () => {
    for (const text of texts) {
      await (await fetch(url, { method: "POST", body: JSON.stringify(["PUBLISH", channel, text]), headers: { authorization: "Bearer TOKEN" } })).text();
    }
  };
};

const hosts = {
  async node() {
    const loaded = await import(program("edge_conformance.js"));
    loaded.initSync({ module: readFileSync(program("edge_conformance_bg.wasm")) });
    const call = async (name, ...args) => {
      const result = await loaded[name](...args.map(publishing));
      return ArrayBuffer.isView(result) ? Array.from(result, Number) : result;
    };
    return { call, stop() {} };
  },
  async workerd() {
    const files = [join(import.meta.dirname, "conformance_worker.mjs"), program("edge_conformance.js"), program("edge_conformance_bg.wasm")];
    const worker = await startWorkerd(files);
    const post = (signal, name, ...args) => fetch(worker.url, { method: "POST", body: JSON.stringify({ name, args }), signal });
    const call = async (name, ...args) => {
      const response = await post(undefined, name, ...args);
      if (response.status !== 200) throw new Error(`${await response.text()} ${worker.log()}`);
      return response.json();
    };
    return { call, post, stop: worker.stop };
  },
};

test("a client with GET, SET and a limit is small", () => {
  const bytes = gzipSync(readFileSync(program("edge_limiter_bg.wasm")), { level: 9 }).length;
  assert.ok(bytes <= SIZE, `${bytes} bytes of gzip`);
});

for (const [host, start] of Object.entries(hosts)) {
  describe(host, () => {
    let running, store, faults;
    const call = (...args) => running.call(...args);
    const outcome = async (name, url, command = "INCR", timeout = 5000, retries = 0) => {
      const [kind, delivery, attempts, status, after, elapsed] = (await call("call", url, command, timeout, retries)).split(" ");
      return { kind, delivery, attempts: +attempts, status: +status, after: +after, elapsed: +elapsed };
    };
    before(async () => {
      store = await startRestis(process.env.RESTIS_BIN);
      faults = await startFaults();
      running = await start();
    });
    after(async () => {
      await running?.stop();
      faults?.stop();
      await store?.stop();
    });

    test("the conformance suite passes", async () => {
      const cases = await call("cases");
      assert.ok(cases.length > 20);
      for (const resp2 of [false, true]) {
        for (const name of cases) {
          await assert.doesNotReject(call("run_case", store.url, "TOKEN", name, resp2), name);
        }
      }
    });

    // Kinds and deliveries are those that tests/faults.rs states for the native client.
    for (const [fault, kind, delivery, status, after] of [
      ["slow", "timeout", "MaybeExecuted", 0, 0],
      ["html", "gateway", "MaybeExecuted", 200, 0],
      ["notjson", "protocol", "MaybeExecuted", 200, 0],
      ["nothttp", "interrupted", "MaybeExecuted", 0, 0],
      ["unauthorized", "unauthorized", "Executed", 401, 0],
      ["busy", "rate_limited", "NotSent", 429, 30000],
      ["unavailable", "gateway", "MaybeExecuted", 503, 0],
      ["truncated", "interrupted", "MaybeExecuted", 200, 0],
      ["reset", "interrupted", "MaybeExecuted", 0, 0],
      ["redirect", "gateway", "MaybeExecuted", 302, 0],
      ["huge", "too_large", "MaybeExecuted", 200, 0],
    ]) {
      test(`${fault} is ${kind}`, async () => {
        const seen = await outcome("call", faults.url(fault), "INCR", fault === "slow" ? 300 : 5000, 0);
        const { elapsed, attempts, ...rest } = seen;
        assert.deepEqual(rest, { kind, delivery, status, after });
        assert.equal(attempts, 1);
      });
    }

    test("a refused connection is known as one where the host tells", async () => {
      const { kind, delivery } = await outcome("call", await refused());
      // workerd says of both that the connection was lost, so that the command may have run.
      const told = { node: ["connect", "NotSent"], workerd: ["interrupted", "MaybeExecuted"] };
      assert.deepEqual([kind, delivery], told[host]);
    });

    test("a retry comes after a pause, and the deadline ends it", async () => {
      const seen = await outcome("call", faults.url("unavailable"), "GET", 5000, 3);
      assert.equal(seen.attempts, 4);
      // At least half of 20, 40 and 80 ms.
      assert.ok(seen.elapsed >= 70, `${seen.elapsed} ms`);
      const none = await outcome("call", faults.url("unavailable"), "INCR", 5000, 3);
      assert.equal(none.attempts, 1, "it may have run");
      const late = await outcome("call", faults.url("slow"), "GET", 200, 3);
      assert.equal(late.kind, "timeout");
      assert.ok(late.elapsed >= 199, `${late.elapsed} ms`);
    });

    test("the circuit breaker opens, and closes after its time", async () => {
      const outcomes = await call("breaker", faults.url("unavailable"), 5, 200, 400);
      const kinds = outcomes.map((one) => one.split(" ")[0]);
      assert.deepEqual(kinds, ["gateway", "gateway", "gateway", "circuit_open", "circuit_open", "gateway"]);
    });

    test("a thousand concurrent calls are one request", async () => {
      assert.equal(await call("merged", store.url, "TOKEN", 1000), 1);
    });

    test("calls that are dropped harm no other", async () => {
      const kept = await call("cancelled", store.url, "TOKEN");
      assert.deepEqual(kept.sort((a, b) => a - b), Array.from({ length: 20 }, (_, n) => n + 21));
    });

    test("a subscription streams", async () => {
      const texts = Array.from({ length: 20 }, (_, n) => `größe ${n}`);
      const got = await call("messages", store.url, "TOKEN", "news", 20, { publish: [store.url, "news", texts] });
      assert.deepEqual(got, texts);
    });

    test("the cache holds less than an isolate has", async () => {
      const few = await call("cached", store.url, "TOKEN", 20, 5);
      assert.equal(few[0], 20);
      assert.ok(few[1] <= 60, `${few[1]} requests for 100 reads`);
      // 40 MB in the store.
      const [loaded] = await call("cached", store.url, "TOKEN", 400, 1);
      assert.equal(loaded, 380);
      const bytes = await call("memory_bytes");
      assert.ok(bytes < 64 * 2 ** 20, `${bytes} bytes`);
    });

    if (host === "workerd") {
      test("a client that goes away harms no other event of its isolate", async () => {
        const url = faults.url("ok");
        assert.match(await call("shared_incr", url, "TOKEN", "first"), /^ok/);
        for (let round = 0; round < 3; round += 1) {
          const gone = new AbortController();
          const hanging = Array.from({ length: 30 }, () => running.post(gone.signal, "shared_incr", url, "TOKEN", "hang"));
          const settled = Promise.allSettled(hanging);
          const before = faults.seen.ok;
          while (faults.seen.ok < before + 10) await new Promise((resolve) => setTimeout(resolve, 5));
          const beside = Promise.all(Array.from({ length: 20 }, () => call("shared_incr", url, "TOKEN", "beside")));
          gone.abort();
          await settled;
          for (const one of await beside) assert.match(one, /^ok/);
          for (const one of await Promise.all(Array.from({ length: 20 }, () => call("shared_incr", url, "TOKEN", "later")))) {
            assert.match(one, /^ok/);
          }
        }
      });
    } else {
      test("nothing is left running", () => {
        assert.deepEqual(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout"), []);
      });
    }
  });
}

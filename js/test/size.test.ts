// What a user's bundle grows by: esbuild, minified, gzip.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

async function size(code: string): Promise<{ minified: number; gzip: number }> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["react", "next/*", "swr", "@tanstack/react-query"],
    write: false,
  });
  const { contents } = outputFiles[0]!;
  return { minified: contents.length, gzip: gzipSync(contents, { level: 9 }).length };
}

/** What is imported, and the most bytes it may have; others' sizes were measured in the same way. */
const bars: [string, number, string][] = [
  ['import { createClient, isRestisError } from "restis"; globalThis.use = [createClient, isRestisError];', 3 * 1024, "openapi-fetch 2.6 kB without types or repeats"],
  ['import { EventStream, Outbox } from "restis/browser"; globalThis.use = [EventStream, Outbox];', 6 * 1024, "@upstash/realtime/client 94 kB, better-auth/react 12.2 kB"],
  ['import { useSession } from "restis/react"; globalThis.use = [useSession];', 5 * 1024, "better-auth/react 12.2 kB"],
  ['import { useEvents, useEventStream, useOutbox, useRateLimit, useSession } from "restis/react"; import { Outbox } from "restis/browser"; globalThis.use = [useEvents, useEventStream, useOutbox, useRateLimit, useSession, Outbox];', 10 * 1024, "react-query 10.5 kB"],
];

for (const [code, most, peer] of bars) {
  const name = /import (.*?);/.exec(code)?.[1];
  test(`${name} is small`, async (t) => {
    const { minified, gzip } = await size(code);
    t.diagnostic(`${name}: ${(minified / 1000).toFixed(1)} kB minified, ${(gzip / 1000).toFixed(2)} kB gzip (${peer})`);
    assert.ok(gzip <= most, `${gzip} bytes, at most ${most}`);
  });
}

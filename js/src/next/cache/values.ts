import { gunzipSync, gzipSync } from "node:zlib";

/** What JSON does not know, by the member that stands for it. */
const BYTES = "$restis.bytes";
const MAP = "$restis.map";

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { [BYTES]: Buffer.from(value).toString("base64") };
  if (value instanceof Map) return { [MAP]: [...value].map(([key, of]) => [key, plain(of)]) };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, plain(of)]));
  return value;
}

/** A value of Next.js, with its buffers and maps, as bytes. */
export function toBytes(value: unknown): Buffer {
  return gzipSync(JSON.stringify(plain(value)));
}

/** The value of bytes. */
export function fromBytes(bytes: Buffer): unknown {
  return JSON.parse(gunzipSync(bytes).toString(), (_, value: Record<string, unknown> | null) => {
    if (typeof value?.[BYTES] === "string") return Buffer.from(value[BYTES], "base64");
    if (Array.isArray(value?.[MAP])) return new Map(value[MAP] as [unknown, unknown][]);
    return value;
  });
}

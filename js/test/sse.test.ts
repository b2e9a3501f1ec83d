// The parser of server-sent events: examples of the HTML standard, cut anywhere, and bounds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SseParser, type SseMessage } from "restis/browser";

function parse(parts: Uint8Array[], max?: number): { messages: SseMessage[]; retryMs: number | undefined } {
  const messages: SseMessage[] = [];
  const parser = new SseParser((message) => messages.push(message), max);
  for (const part of parts) parser.feed(part);
  return { messages, retryMs: parser.retryMs };
}

const bytes = (text: string) => new TextEncoder().encode(text);

const cases: [name: string, text: string, messages: SseMessage[]][] = [
  ["the standard's stocks", "data: YHOO\ndata: +2\ndata: 10\n\n", [{ event: "", data: "YHOO\n+2\n10" }]],
  ["the standard's comments and ids", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", [
    { event: "", data: "first event", id: "1" },
    { event: "", data: "second event", id: "" },
    { event: "", data: " third event" },
  ]],
  ["the standard's empty data", "data\n\ndata\ndata\n\ndata:", [{ event: "", data: "" }, { event: "", data: "\n" }]],
  ["the standard's two spaces", "data:test\n\ndata: test\n\n", [{ event: "", data: "test" }, { event: "", data: "test" }]],
  ["carriage returns", "event: a\rdata: 1\r\rdata: 2\r\r", [{ event: "a", data: "1" }, { event: "", data: "2" }]],
  ["mixed line ends", "event: a\r\ndata: 1\rdata: 2\n\r\n:c\r\ndata: 3\n\n", [{ event: "a", data: "1\n2" }, { event: "", data: "3" }]],
  ["an id alone moves the place", "id: 7\n\n", [{ event: "", data: "", id: "7" }]],
  ["an id with NUL is ignored", "id: a\0b\ndata: 1\n\n", [{ event: "", data: "1" }]],
  ["unknown fields", "foo: bar\ndata: x\nbaz\n\n", [{ event: "", data: "x" }]],
  ["no end, no message", "data: x\n", []],
  ["beyond ASCII", "data: grüezi 🦀\n\n", [{ event: "", data: "grüezi 🦀" }]],
  ["a byte order mark", "\ufeffdata: x\n\n", [{ event: "", data: "x" }]],
];

for (const [name, text, messages] of cases) {
  test(`${name}, cut anywhere`, () => {
    const all = bytes(text);
    assert.deepEqual(parse([all]).messages, messages);
    assert.deepEqual(parse([...all].map((byte) => Uint8Array.of(byte))).messages, messages);
    for (let cut = 0; cut <= all.length; cut++) {
      assert.deepEqual(parse([all.slice(0, cut), all.slice(cut)]).messages, messages, `cut at ${cut}`);
    }
  });
}

test("retry takes digits only", () => {
  assert.equal(parse([bytes("retry: 250\n\nretry: 1e9\n\nretry: -1\n\n")]).retryMs, 250);
});

test("a megabyte in small parts is read, and what is larger loses its data but not its place", () => {
  const text = "x".repeat(1 << 20);
  const cut = (from: Uint8Array) => Array.from({ length: Math.ceil(from.length / 1000) }, (_, at) => from.subarray(at * 1000, at * 1000 + 1000));
  const whole = parse(cut(bytes(`data: ${text}\nid: 1\n\n`))).messages;
  assert.deepEqual(whole, [{ event: "", data: text, id: "1" }]);
  for (const large of [`data: ${text}x\nid: 1\n\n`, `data: ${text}\ndata: x\nid: 1\n\n`]) {
    const { messages } = parse([...cut(bytes(large)), bytes("data: next\n\n")]);
    assert.deepEqual(messages, [{ event: "", data: "", id: "1", tooLarge: true }, { event: "", data: "next" }]);
  }
});

test("a line without end takes no more memory than one message", () => {
  const parser = new SseParser(() => {}, 1000);
  const part = bytes("data".repeat(10_000));
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 1_000; count++) parser.feed(part);
  assert.ok(process.memoryUsage().heapUsed - before < 30_000_000);
});

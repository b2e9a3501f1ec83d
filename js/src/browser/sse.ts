/** One message of a stream of server-sent events. */
export interface SseMessage {
  /** The type; empty for a plain message. */
  event: string;
  data: string;
  /** The id of this message; absent where it has none. */
  id?: string;
  /** Whether its data was larger than allowed and is left out. */
  tooLarge?: boolean;
}

/** Most characters of one message's data: four times what an event may have. */
const MAX_CHARACTERS = 1 << 20;

/**
 * Reads server-sent events from bytes that are cut anywhere.
 *
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
 * A message whose data is too large comes without it, so that its id is still known.
 */
export class SseParser {
  /** The last `retry` of the server, in milliseconds. */
  retryMs: number | undefined;
  // It strips a byte order mark and holds back half a character.
  #decoder = new TextDecoder();
  #line = "";
  /** Whether the last character was a carriage return, so that a line feed belongs to it. */
  #returned = false;
  #data: string[] = [];
  #size = 0;
  #event = "";
  #id: string | undefined;

  constructor(
    private readonly dispatch: (message: SseMessage) => void,
    private readonly max = MAX_CHARACTERS,
  ) {}

  feed(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (!text) return;
    let start = this.#returned && text[0] === "\n" ? 1 : 0;
    this.#returned = false;
    const ends = /\r\n?|\n/g;
    ends.lastIndex = start;
    for (let end; (end = ends.exec(text)); start = ends.lastIndex) {
      this.#extend(text.slice(start, end.index));
      this.#finish(this.#line);
      this.#line = "";
      this.#returned = end[0] === "\r" && ends.lastIndex === text.length;
    }
    this.#extend(text.slice(start));
  }

  /** A line beyond the bound keeps its beginning: enough to see what it is. */
  #extend(text: string): void {
    const room = this.max + 8 - this.#line.length;
    this.#line += text.length > room ? text.slice(0, Math.max(0, room)) : text;
  }

  #finish(line: string): void {
    if (!line) return this.#blank();
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    if (field === "data") {
      this.#size += value.length + 1;
      if (this.#size - 1 <= this.max) this.#data.push(value);
      else this.#data = [];
    } else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #blank(): void {
    const tooLarge = this.#size - 1 > this.max;
    if (this.#size || this.#id !== undefined) {
      const message: SseMessage = { event: this.#event, data: this.#data.join("\n") };
      if (this.#id !== undefined) message.id = this.#id;
      if (tooLarge) message.tooLarge = true;
      this.dispatch(message);
    }
    this.#data = [];
    this.#size = 0;
    this.#event = "";
    this.#id = undefined;
  }
}

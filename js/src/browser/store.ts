import type { NewEvent } from "../calls.js";

/** An event of the outbox with its number. */
export interface Queued {
  number: number;
  event: NewEvent & { id: string };
}

/** What an outbox knows of itself. */
export interface Meta {
  /** The name under which the functions know it. */
  client: string;
  /** The number of the next event. */
  next: number;
  /** The place up to which missed events were applied. */
  cursor?: string;
  /** Ids of own events that were sent lately, which missed events may bring back. */
  own?: string[];
}

/** Where an outbox is kept. Each call is one transaction. */
export interface Store {
  readonly durable: boolean;
  add(events: (NewEvent & { id: string })[]): Promise<void>;
  /** What it knows, the oldest events, and how many there are. */
  read(most: number): Promise<{ meta: Meta; events: Queued[]; count: number }>;
  /** Deletes events and changes what it knows. */
  settle(numbers: number[], change: Partial<Meta>): Promise<void>;
  /** Begins anew under another name: the events get numbers from 1 on. */
  restart(): Promise<void>;
}

const fresh = (): Meta => ({ client: crypto.randomUUID(), next: 1 });

/** A store that ends with the page. */
export function inMemory(): Store {
  let meta = fresh();
  let events: Queued[] = [];
  return {
    durable: false,
    async add(more) {
      for (const event of more) events.push({ number: meta.next++, event });
    },
    async read(most) {
      return { meta, events: events.slice(0, most), count: events.length };
    },
    async settle(numbers, change) {
      events = events.filter(({ number }) => !numbers.includes(number));
      meta = { ...meta, ...change };
    },
    async restart() {
      meta = { ...meta, ...fresh() };
      events = events.map(({ event }) => ({ number: meta.next++, event }));
    },
  };
}

/** A store in IndexedDB, which all tabs of the origin share. */
export async function inDatabase(name: string): Promise<Store> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("meta");
      opening.result.createObjectStore("events", { keyPath: "number" });
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  // A tab with a newer version, or the user who clears the site's data, must not wait for this one.
  database.onversionchange = () => database.close();

  /** Runs requests in one transaction; resolves when it is on disk. */
  const within = <T>(write: boolean, work: (meta: Meta, events: IDBObjectStore, metas: IDBObjectStore) => T) =>
    new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(["meta", "events"], write ? "readwrite" : "readonly", { durability: "strict" });
      const metas = transaction.objectStore("meta");
      let result: T;
      const known = metas.get("meta");
      known.onsuccess = () => {
        result = work((known.result as Meta | undefined) ?? fresh(), transaction.objectStore("events"), metas);
      };
      transaction.oncomplete = () => resolve(result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });

  // The client's name is there before anything is sent under it.
  await within(true, (meta, _, metas) => metas.put(meta, "meta"));
  return {
    durable: true,
    async add(more) {
      await within(true, (meta, events, metas) => {
        for (const event of more) events.put({ number: meta.next++, event });
        metas.put(meta, "meta");
      });
    },
    async read(most) {
      const read = await within(false, (meta, events) => ({ meta, events: events.getAll(null, most), count: events.count() }));
      return { meta: read.meta, events: read.events.result as Queued[], count: read.count.result };
    },
    async settle(numbers, change) {
      await within(true, (meta, events, metas) => {
        for (const number of numbers) events.delete(number);
        metas.put({ ...meta, ...change }, "meta");
      });
    },
    async restart() {
      await within(true, (meta, events, metas) => {
        Object.assign(meta, fresh());
        const all = events.getAll();
        all.onsuccess = () => {
          events.clear();
          for (const { event } of all.result) events.put({ number: meta.next++, event });
          metas.put(meta, "meta");
        };
      });
    },
  };
}

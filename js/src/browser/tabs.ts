/** The tabs of this origin that share a name: messages between them, and one that leads. */
export interface Tabs {
  post(message: unknown): void;
  /** Runs `work` once no other tab does; it goes on until the signal. */
  lead(signal: AbortSignal, work: () => Promise<void>): Promise<void>;
  close(): void;
}

/** One tab alone, as where the browser has no locks or channels. */
export const alone: Tabs = { post() {}, lead: (_, work) => work(), close() {} };

/** Joins the tabs of a name. */
export function join(name: string, heard: (message: never) => void): Tabs {
  const locks = globalThis.navigator?.locks;
  if (!locks || typeof BroadcastChannel === "undefined") return alone;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }) => heard(data as never);
  return {
    post: (message) => channel.postMessage(message),
    close: () => channel.close(),
    lead: (signal, work) => locked(name, work, signal),
  };
}

/** Runs `work` while no other tab of this origin runs any of this name; without locks at once. */
export async function locked(name: string, work: () => Promise<void>, signal?: AbortSignal): Promise<void> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return work();
  let begun = false;
  try {
    await locks.request(name, signal ? { signal } : {}, () => {
      begun = true;
      return work();
    });
  } catch (error) {
    if (signal?.aborted) return;
    // A sandboxed page may not lock.
    if (begun) throw error;
    await work();
  }
}

/** Whether the page is in the foreground; a program without pages always is. */
export const isVisible = (): boolean => globalThis.document?.visibilityState !== "hidden";

/** Calls `look` when that changes; gives what stops it. */
export function watchVisibility(look: () => void): () => void {
  const { document } = globalThis;
  document?.addEventListener("visibilitychange", look);
  return () => document?.removeEventListener("visibilitychange", look);
}

import type { Told as What } from "../app/actions";

/** What an action said; the region is there before it, so that screen readers read it out. */
export function Told({ told }: { told: unknown }) {
  const { problem, done } = (told ?? {}) as What;
  return (
    <p role="status" className={problem ? "problem" : "done"}>
      {problem ?? done ?? ""}
    </p>
  );
}

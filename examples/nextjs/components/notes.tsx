"use client";
import { useEffect, useState, type FormEvent } from "react";
import type { NewEvent } from "restis";
import { useOutbox } from "restis/react";
import { useLive } from "./live";

const textOf = ({ data }: { data?: unknown }) => String((data as { text?: unknown } | null)?.text ?? "");

export function Notes() {
  const { events, user, outbox, refused } = useLive();
  const { add, pending, state, durable } = useOutbox(outbox);
  const [waiting, setWaiting] = useState<NewEvent[]>([]);
  useEffect(() => {
    let shown = true;
    void outbox.waiting().then((events) => shown && setWaiting(events));
    return () => {
      shown = false;
    };
  }, [outbox, pending]);

  const stored = events.filter(({ type }) => type === `note.${user}.added`);
  // A note that was sent a moment ago comes back from the history before the outbox forgets it.
  const ids = new Set(stored.map(({ id }) => id));
  const unsent = waiting.filter(({ id }) => pending && id && !ids.has(id));

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const text = String(new FormData(form).get("text")).trim();
    if (!text) return;
    await add({ type: `note.${user}.added`, data: { text } });
    // What was typed meanwhile stays.
    if (String(new FormData(form).get("text")).trim() === text) form.reset();
  }

  return (
    <>
      <p>Notes are kept on this device until they are sent: without a network, too, and across reloads.</p>
      <form onSubmit={submit} className="card row">
        <label htmlFor="note">Note</label>
        <input id="note" name="text" required maxLength={200} autoComplete="off" />
        <button>Add</button>
      </form>
      <p role="status" className={pending ? "notice" : "quiet"}>
        {pending ? `${pending === 1 ? "One note is" : `${pending} notes are`} not sent yet${state === "waiting" ? "; the network or the store is away, they go out by themselves." : "."}` : "All notes are sent."}
        {!durable && " This browser stores nothing: keep the page open until they are sent."}
      </p>
      {refused.map((detail, index) => (
        <p key={index} role="alert" className="problem">
          A note was refused: {detail}
        </p>
      ))}
      <ul className="notes">
        {unsent.map((note) => (
          <li key={note.id} className="unsent">
            {textOf(note)} <small>not sent yet</small>
          </li>
        ))}
        {stored.toReversed().map((note) => (
          <li key={note.id}>{textOf(note)}</li>
        ))}
      </ul>
      {!stored.length && !unsent.length && <p className="quiet">There are no notes yet.</p>}
    </>
  );
}

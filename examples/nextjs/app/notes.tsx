"use client";
import { useEffect, useState, type FormEvent } from "react";

type Note = { id: string; data: { text: string; by: string } };

export function Notes() {
  const [notes, setNotes] = useState<Note[]>([]);
  const [live, setLive] = useState(false);

  useEffect(() => {
    let source: EventSource | undefined;
    let cursor = "";
    let ended = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    // A grant is short-lived: every connection begins with a new one, and goes on where the last one was.
    async function connect() {
      let query: URLSearchParams;
      try {
        const response = await fetch("/auth/grant", { method: "POST" });
        if (!response.ok) throw new Error(`${response.status}`);
        const { grant } = await response.json();
        query = new URLSearchParams({ grant, after: cursor });
      } catch {
        again();
        return;
      }
      if (ended) return;
      source = new EventSource(`/api/events/stream?${query}`);
      source.onopen = () => setLive(true);
      source.onerror = again;
      source.addEventListener("bye", again);
      source.addEventListener("ready", (message) => {
        cursor = message.lastEventId;
      });
      source.addEventListener("reset", (message) => {
        // Events are gone from the history: what is shown has to be loaded anew.
        cursor = message.lastEventId;
        setNotes([]);
      });
      source.addEventListener("note.added", (message) => {
        cursor = message.lastEventId;
        const note: Note = JSON.parse(message.data);
        setNotes((known) => (known.some((one) => one.id === note.id) ? known : [...known, note]));
      });
    }

    function again() {
      source?.close();
      setLive(false);
      clearTimeout(timer);
      if (!ended) timer = setTimeout(connect, 500 + Math.random() * 1500);
    }

    connect();
    return () => {
      ended = true;
      clearTimeout(timer);
      source?.close();
    };
  }, []);

  async function add(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    // The id makes a repeated request harmless.
    const note = { id: crypto.randomUUID(), text: new FormData(form).get("text") };
    const response = await fetch("/notes", { method: "POST", body: JSON.stringify(note) });
    if (response.ok) form.reset();
  }

  return (
    <section>
      <h2>Notes</h2>
      <p role="status">{live ? "live" : "connecting…"}</p>
      <ul>
        {notes.map((note) => (
          <li key={note.id}>
            {note.data.text} — {note.data.by}
          </li>
        ))}
      </ul>
      <form onSubmit={add}>
        <label>
          Note <input name="text" required maxLength={200} />
        </label>{" "}
        <button>Add</button>
      </form>
    </section>
  );
}

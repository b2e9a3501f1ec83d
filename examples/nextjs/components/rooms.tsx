"use client";
import { useMemo, useState, useTransition } from "react";
import { change, type Told as What } from "../app/actions";
import { bookings, DAYS, ROOMS, slotKey, type Slot } from "../lib/bookings";
import { useLive } from "./live";
import { Told } from "./told";

export function Rooms() {
  const { events, user } = useLive();
  const booked = useMemo(() => bookings(events), [events]);
  const [pending, start] = useTransition();
  const [told, setTold] = useState<What>();

  const click = (slot: Slot, holder: string | undefined) =>
    start(async () => {
      const id = crypto.randomUUID();
      try {
        setTold(await change(id, holder ? "cancelled" : "created", slot));
      } catch {
        setTold({ problem: "The site cannot be reached, so nothing was changed. Try again in a moment." });
      }
    });

  return (
    <>
      <p>Book a room for a day. Others see it at once.</p>
      {ROOMS.map((room) => (
        <section key={room} aria-labelledby={room} className="card">
          <h2 id={room}>{room}</h2>
          <ul className="slots">
            {DAYS.map((day) => {
              const slot = { room, day };
              const holder = booked.get(slotKey(slot));
              const others = holder !== undefined && holder !== user;
              return (
                <li key={day}>
                  <button aria-disabled={others || pending} className={others ? "taken" : holder ? "own" : "free"} onClick={() => others || pending || click(slot, holder)}>
                    <span>{day}</span>
                    <small>{holder ? (others ? `booked by ${holder}` : "booked by you, give back") : "free, book"}</small>
                  </button>
                </li>
              );
            })}
          </ul>
        </section>
      ))}
      <Told told={told} />
    </>
  );
}

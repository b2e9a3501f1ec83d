import type { StoredEvent } from "restis";

export const ROOMS = ["Harbour", "Lighthouse", "Library"] as const;
export const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"] as const;

/** A room on a day. */
export interface Slot {
  room: string;
  day: string;
}

export const slotKey = ({ room, day }: Slot): string => `${room}/${day}`;

export const isSlot = ({ room, day }: Slot): boolean => ROOMS.some((one) => one === room) && DAYS.some((one) => one === day);

/** Who has each slot. The history decides: of two who book at once the first one gets it. */
export function bookings(events: readonly StoredEvent[]): Map<string, string> {
  const booked = new Map<string, string>();
  for (const { type, data } of events) {
    const { user, ...slot } = data as Slot & { user: string };
    if (type === "booking.created" && !booked.has(slotKey(slot))) booked.set(slotKey(slot), user);
    if (type === "booking.cancelled" && booked.get(slotKey(slot)) === user) booked.delete(slotKey(slot));
  }
  return booked;
}

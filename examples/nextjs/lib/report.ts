import { cacheLife, cacheTag } from "next/cache";
import { tagOf } from "restis/next/cache";
import { bookings, ROOMS } from "./bookings";
import { readHistory } from "./history";

/**
 * What the report depends on. Anything that shares the store can invalidate it: this site by `updateTag`,
 * a service by `POST /api/cache/invalidate` with `{"tags":["bookings"]}`, a Rust function by the same tag.
 */
export const BOOKINGS_TAG = tagOf("shared-tagged:{tag}", "bookings");

export interface Report {
  rooms: { room: string; booked: number }[];
  /** When it was made, in unix milliseconds. */
  madeAt: number;
}

/** How often each room is booked: made once, and kept until a booking changes it. */
export async function report(): Promise<Report> {
  "use cache";
  cacheLife("hours");
  cacheTag(BOOKINGS_TAG);
  const booked = [...bookings((await readHistory("booking.*")).events).keys()];
  const rooms = ROOMS.map((room) => ({ room, booked: booked.filter((key) => key.startsWith(`${room}/`)).length }));
  return { rooms, madeAt: Date.now() };
}

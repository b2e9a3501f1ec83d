"use server";
import { updateTag } from "next/cache";
import { headers } from "next/headers";
import { after } from "next/server";
import { redirect } from "next/navigation";
import { isRestisError, type NewEvent } from "restis";
import { functions, isLimited, publish, requireSession, signIn, withRateLimit } from "restis/next";
import { isSlot, type Slot } from "../lib/bookings";
import { BOOKINGS_TAG } from "../lib/report";

/** What an action tells the one who used it. */
export interface Told {
  problem?: string;
  done?: string;
}

/** A failure in words; what is no failure of the functions is thrown on. */
function inWords(error: unknown): Told {
  if (!isRestisError(error)) throw error;
  if (error.code === "step-up-required") return { problem: "To end a session, sign out and in again first: your sign-in is older than an hour." };
  if (error.code === "session-missing") return { problem: "You are signed out." };
  if (error.code === "not-found") return { problem: "This session has ended already." };
  if (error.status === 0 || error.status >= 500) return { problem: "The store is away, so nothing was changed. Try again in a moment." };
  throw error;
}

const limitedSignIn = withRateLimit(
  async (user: string): Promise<Told> => {
    // Here an application checks a password, a passkey or an identity provider's answer.
    await signIn({ user, methods: ["password"] });
    await publish({ type: `session.${user}.began` });
    return {};
  },
  "login",
);

export async function enter(_before: unknown, form: FormData) {
  const user = String(form.get("user")).trim().toLowerCase();
  // The name is a part of event types.
  if (!/^[a-z][a-z0-9_]{0,31}$/.test(user)) return { problem: "A name has 1 to 32 letters and digits and begins with a letter." };
  let told;
  try {
    told = await limitedSignIn(user);
  } catch (error) {
    return inWords(error);
  }
  if (isLimited(told) || told.problem) return told;
  redirect("/");
}

/** Books a slot or gives it back. `id` is the click's, so that a repeat does it once. */
export async function change(id: string, kind: "created" | "cancelled", slot: Slot): Promise<Told> {
  if (!isSlot(slot) || !/^(created|cancelled)$/.test(kind) || typeof id !== "string") return { problem: "There is no such room or day." };
  const { room, day } = slot;
  try {
    const { user } = await requireSession("/login");
    await publish({ id, type: `booking.${kind}`, source: "/bookings", data: { room, day, user } });
  } catch (error) {
    return inWords(error);
  }
  updateTag(BOOKINGS_TAG);
  // Open reports hear of it once they would get a new one.
  after(() => publish({ type: "report.changed" }));
  return {};
}

/** Ends another session of the user, whose tabs hear of it. */
export async function endSession(id: string): Promise<Told> {
  try {
    const { user } = await requireSession("/login");
    await functions().session.revoke({ id: String(id) }, await ofVisitor());
    await publish({ type: `session.${user}.ended` });
    return { done: "The session is ended." };
  } catch (error) {
    return inWords(error);
  }
}

export async function endOtherSessions(): Promise<Told> {
  try {
    const { user } = await requireSession("/login");
    const { revoked } = await functions().session.revokeOthers({}, await ofVisitor());
    await publish({ type: `session.${user}.ended` });
    return { done: revoked === 1 ? "One other session is ended." : `${revoked} other sessions are ended.` };
  } catch (error) {
    return inWords(error);
  }
}

/** The visitor's cookie; Next.js has checked that the request comes from this site. */
async function ofVisitor() {
  return { cookie: (await headers()).get("cookie") ?? "", headers: { "sec-fetch-site": "same-origin" } };
}

const limitedMessage = withRateLimit(async (message: NewEvent): Promise<Told> => {
  await publish(message);
  return { done: "Thank you, your message has arrived." };
}, { policy: "contact", identifier: async () => (await requireSession("/login")).id });

export async function contact(_before: unknown, form: FormData) {
  const text = String(form.get("text")).trim().slice(0, 500);
  if (!text) return { problem: "Write a message first." };
  try {
    return await limitedMessage({ type: "contact.sent", data: { text } });
  } catch (error) {
    return inWords(error);
  }
}

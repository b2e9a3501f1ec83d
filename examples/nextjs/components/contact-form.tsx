"use client";
import { useActionState } from "react";
import { useRateLimit } from "restis/react";
import { contact } from "../app/actions";
import { Told } from "./told";

export function ContactForm() {
  const [told, action, pending] = useActionState(contact, undefined);
  const { limited, secondsLeft } = useRateLimit(told);
  return (
    <form action={action} className="card">
      <label htmlFor="message">Message</label>
      <textarea id="message" name="text" required maxLength={500} rows={4} />
      <button disabled={pending || limited}>{limited ? `Wait ${secondsLeft} s` : "Send"}</button>
      <Told told={limited ? { problem: "You have sent many messages. The button says when the next one may go." } : told} />
    </form>
  );
}

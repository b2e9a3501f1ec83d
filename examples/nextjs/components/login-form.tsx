"use client";
import { useSearchParams } from "next/navigation";
import { useActionState } from "react";
import { useRateLimit } from "restis/react";
import { enter } from "../app/actions";
import { Told } from "./told";

export function LoginForm() {
  const [told, action, pending] = useActionState(enter, undefined);
  const { limited, secondsLeft } = useRateLimit(told);
  const ended = useSearchParams().has("ended") && !told;
  return (
    <form action={action} className="card">
      {ended && (
        <p role="status" className="notice">
          You are signed out.
        </p>
      )}
      <label htmlFor="user">Name</label>
      <input id="user" name="user" required maxLength={32} autoComplete="username" autoCapitalize="none" />
      <p className="quiet">Any name signs in here. An application checks a password or a passkey first.</p>
      <button disabled={pending || limited}>{limited ? `Wait ${secondsLeft} s` : "Sign in"}</button>
      <Told told={limited ? { problem: "Too many attempts." } : told} />
    </form>
  );
}

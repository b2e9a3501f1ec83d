"use client";
import { useActionState } from "react";
import { useRateLimit } from "restis/react";
import { vote } from "./actions";

export function Vote() {
  const [result, cast] = useActionState(vote, null);
  const { limited, secondsLeft } = useRateLimit(result);
  return (
    <form action={cast}>
      <button id="vote">vote</button>
      <p id="result">{limited ? `wait ${secondsLeft}` : String(result)}</p>
    </form>
  );
}

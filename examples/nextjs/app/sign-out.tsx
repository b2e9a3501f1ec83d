"use client";
import { useRouter } from "next/navigation";

export function SignOut() {
  const router = useRouter();
  async function signOut() {
    // The browser's own session: the cookie is enough, and the answer removes it.
    const response = await fetch("/api/session", { method: "DELETE" });
    if (response.ok) router.refresh();
  }
  return <button onClick={signOut}>Sign out</button>;
}

"use client";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { useState } from "react";
import { useSession } from "restis/react";
import { useLive } from "./live";

const PAGES = [
  ["/", "Rooms"],
  ["/notes", "Notes"],
  ["/report", "Report"],
  ["/contact", "Contact"],
  ["/devices", "Devices"],
] as const;

/** What the state of the connection means for the one who looks. */
const WORDS = {
  idle: "Connecting…",
  connecting: "Connecting…",
  live: "Live",
  outage: "The store is away. What you see may be old; it goes on by itself.",
  waiting: "The connection is lost. What you see may be old; it goes on by itself.",
  denied: "Live updates are not allowed.",
} as const;

export function Header({ user }: { user: string }) {
  const path = usePathname();
  const { state } = useLive();
  const { signOut } = useSession();
  const [failed, setFailed] = useState(false);
  return (
    <>
      <header>
        <nav aria-label="Pages">
          <ul>
            {PAGES.map(([href, name]) => (
              <li key={href}>
                <Link href={href} aria-current={path === href ? "page" : undefined}>
                  {name}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div className="who">
          <span>{user}</span>
          <button className="plain" onClick={() => signOut().catch(() => setFailed(true))}>
            Sign out
          </button>
        </div>
      </header>
      <p role="status" className={`state ${state}`}>
        {WORDS[state]}
        {failed && " You are still signed in: the store could not be reached."}
      </p>
    </>
  );
}

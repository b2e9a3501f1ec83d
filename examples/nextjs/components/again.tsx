"use client";
import { useRouter } from "next/navigation";
import { useEvents } from "restis/react";
import { useLive } from "./live";

/** Renders the page anew when an event of these types comes. */
export function Again({ types }: { types: string[] }) {
  const router = useRouter();
  const { stream } = useLive();
  useEvents(stream, { types, onEvent: () => router.refresh(), onReset: () => router.refresh() });
  return null;
}

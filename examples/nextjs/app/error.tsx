"use client";
import { useRouter } from "next/navigation";
import { startTransition, useEffect } from "react";

const AGAIN_MS = 2_000;

/** Shown while the store or the functions are away; it asks until they are back, and goes on. */
export default function Away({ reset }: { error: Error; reset: () => void }) {
  const router = useRouter();
  useEffect(() => {
    const timer = setInterval(async () => {
      const response = await fetch("/api/health").catch(() => undefined);
      if (!response?.ok) return;
      startTransition(() => {
        router.refresh();
        reset();
      });
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [reset, router]);
  return (
    <main id="content">
      <h1>One moment</h1>
      <p role="alert" className="notice">
        The store is away, so this page cannot be shown. Nothing is lost; the page comes back by itself.
      </p>
    </main>
  );
}

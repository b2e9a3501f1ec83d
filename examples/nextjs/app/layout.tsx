import type { Metadata, Viewport } from "next";
import { Suspense, type ReactNode } from "react";
import "./globals.css";

export const metadata: Metadata = { title: { default: "Rooms", template: "%s – Rooms" }, description: "Booking rooms, live, with restis" };
export const viewport: Viewport = { colorScheme: "light dark" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <a className="skip" href="#content">
          Skip to the content
        </a>
        <Suspense fallback={<Loading />}>{children}</Suspense>
      </body>
    </html>
  );
}

function Loading() {
  return (
    <main id="content">
      <p className="quiet">Loading…</p>
    </main>
  );
}

import type { ReactNode } from "react";
import { requireSession } from "restis/next";
import { Live } from "../../components/live";
import { Header } from "../../components/header";
import { readHistory } from "../../lib/history";
import { typesFor } from "../../lib/types";

/** What all pages share: the session, the history of bookings and notes, and what happens from then on. */
export default async function SignedIn({ children }: { children: ReactNode }) {
  const session = await requireSession("/login");
  const user = session.user ?? "";
  const history = await readHistory(["booking.*", `note.${user}.*`].join(","));
  return (
    <Live session={session} user={user} types={typesFor(user)} history={history}>
      <Header user={user} />
      <main id="content">{children}</main>
    </Live>
  );
}

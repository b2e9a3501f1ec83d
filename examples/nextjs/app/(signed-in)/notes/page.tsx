import type { Metadata } from "next";
import { Notes } from "../../../components/notes";

export const metadata: Metadata = { title: "Notes" };

export default function Page() {
  return (
    <>
      <h1>Notes</h1>
      <Notes />
    </>
  );
}

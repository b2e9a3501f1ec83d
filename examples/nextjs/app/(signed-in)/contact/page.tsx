import type { Metadata } from "next";
import { ContactForm } from "../../../components/contact-form";

export const metadata: Metadata = { title: "Contact" };

export default function Page() {
  return (
    <>
      <h1>Contact</h1>
      <ContactForm />
    </>
  );
}

import type { Metadata } from "next";
import { LoginForm } from "../../components/login-form";

export const metadata: Metadata = { title: "Sign in" };

export default function Login() {
  return (
    <main id="content" className="narrow">
      <h1>Sign in</h1>
      <LoginForm />
    </main>
  );
}

import { session } from "../lib/functions";
import { Notes } from "./notes";
import { SignOut } from "./sign-out";

export default async function Page({ searchParams }: { searchParams: Promise<{ problem?: string }> }) {
  const current = await session();
  const { problem } = await searchParams;
  if (!current) {
    return (
      <main>
        <h1>Sign in</h1>
        {problem && <p role="alert">{problem === "rate-limited" ? "Too many attempts: wait a minute." : "That did not work."}</p>}
        <form action="/auth/login" method="post">
          <label>
            Name <input name="user" required maxLength={64} autoComplete="username" />
          </label>{" "}
          <button>Sign in</button>
        </form>
      </main>
    );
  }
  return (
    <main>
      <h1>Hello, {current.user}</h1>
      <SignOut />
      <Notes />
    </main>
  );
}

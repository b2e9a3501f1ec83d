"use server";
import { publish, signIn, signOut, withRateLimit } from "restis/next";

export async function enter(form: FormData) {
  await signIn({ user: String(form.get("user")), methods: ["password"] });
}

export async function leave() {
  await signOut();
}

const limited = withRateLimit(
  async (_state: unknown) => {
    await publish({ type: "vote.cast" });
    return "voted" as const;
  },
  { policy: "votes", identifier: () => "all" },
);

export async function vote(state: unknown) {
  return limited(state);
}

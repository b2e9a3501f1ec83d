import { Suspense } from "react";
import { getSession } from "restis/next";
import { leave, enter } from "./actions";
import { Vote } from "./vote";

async function Name({ id }: { id: string }) {
  const session = await getSession();
  return <p id={id}>{session?.user ?? "nobody"}</p>;
}

export default function Page() {
  return (
    <main>
      <h1>static</h1>
      <Suspense fallback={<p>loading</p>}>
        <Name id="one" />
        <Name id="two" />
        <Name id="three" />
      </Suspense>
      <form action={enter}>
        <input name="user" aria-label="user" />
        <button id="enter">enter</button>
      </form>
      <form action={leave}>
        <button id="leave">leave</button>
      </form>
      <Vote />
    </main>
  );
}

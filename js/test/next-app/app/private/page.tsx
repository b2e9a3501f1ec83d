import { Suspense } from "react";
import { requireSession } from "restis/next";

async function Secret() {
  const { user } = await requireSession("/");
  return <p id="secret">for {user}</p>;
}

export default function Page() {
  return (
    <Suspense fallback={<p>loading</p>}>
      <Secret />
    </Suspense>
  );
}

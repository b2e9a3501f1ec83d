import { updateTag } from "next/cache";
import { report } from "../../lib";

export default async function Page() {
  async function update() {
    "use server";
    updateTag("report");
  }
  return (
    <form action={update}>
      <p id="report">{await report()}</p>
      <button id="update">update</button>
    </form>
  );
}

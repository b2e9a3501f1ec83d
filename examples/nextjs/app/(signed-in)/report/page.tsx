import type { Metadata } from "next";
import { requireSession } from "restis/next";
import { Again } from "../../../components/again";
import { DAYS } from "../../../lib/bookings";
import { report } from "../../../lib/report";

export const metadata: Metadata = { title: "Report" };

export default async function Page() {
  await requireSession("/login");
  const { rooms, madeAt } = await report();
  return (
    <>
      <h1>Report</h1>
      <p>Made once for all visitors and kept until a booking changes it.</p>
      <table className="card">
        <caption>Bookings of this week</caption>
        <thead>
          <tr>
            <th scope="col">Room</th>
            <th scope="col">Booked</th>
            <th scope="col">Free</th>
          </tr>
        </thead>
        <tbody>
          {rooms.map(({ room, booked }) => (
            <tr key={room}>
              <th scope="row">{room}</th>
              <td>{booked}</td>
              <td>{DAYS.length - booked}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="quiet">
        Made at <time dateTime={new Date(madeAt).toISOString()}>{new Date(madeAt).toISOString().slice(11, 19)} UTC</time>.
      </p>
      <Again types={["report.*"]} />
    </>
  );
}

import { Rooms } from "../../components/rooms";

export default function Page() {
  return (
    <>
      <h1>Rooms</h1>
      <Rooms />
    </>
  );
}

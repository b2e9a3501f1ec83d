import type { Metadata } from "next";
import { Devices } from "../../../components/devices";

export const metadata: Metadata = { title: "Devices" };

export default function Page() {
  return (
    <>
      <h1>Devices</h1>
      <Devices />
    </>
  );
}

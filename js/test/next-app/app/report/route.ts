import { connection } from "next/server";
import { report } from "../../lib";

export async function GET() {
  await connection();
  return Response.json(await report());
}

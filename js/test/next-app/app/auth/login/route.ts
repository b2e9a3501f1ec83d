import { isRestisError } from "restis";
import { signIn } from "restis/next";

export async function POST(request: Request) {
  try {
    const session = await signIn({ user: String((await request.json()).user) });
    return Response.json(session);
  } catch (error) {
    if (isRestisError(error)) return Response.json(error.code, { status: error.status });
    throw error;
  }
}

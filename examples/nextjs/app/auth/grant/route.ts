import { grantRoute } from "restis/next";
import { typesFor } from "../../../lib/types";

/** What the browser of one who is signed in may hear, and send from its outbox. */
export const POST = grantRoute(({ user }) => ({ types: typesFor(user), publish: [`note.${user}.added`] }));

import { grantRoute } from "restis/next";

export const POST = grantRoute(({ user }) => ({ types: [`note.${user}`], publish: [`note.${user}`], ttlSeconds: 60 }));

export { functions } from "./client.js";
export { grantRoute, publish, type Granted } from "./events.js";
export { checkRateLimit, isLimited, rateLimit, withRateLimit, type Limit, type Limited } from "./limit.js";
export { clientIp, isSameSite } from "./request.js";
export { getSession, requireSession, signIn, signOut, type SignIn } from "./session.js";

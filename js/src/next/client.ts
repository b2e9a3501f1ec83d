import { createClient, type Client } from "../client.js";

let client: Client | undefined;

/**
 * The client that the functions of this module use: `API_URL` says where the restis functions are,
 * `RESTIS_SERVICE_TOKEN` is their service token.
 */
export function functions(): Client {
  if (client) return client;
  const { API_URL: url, RESTIS_SERVICE_TOKEN: token } = process.env;
  if (!url) throw new Error("API_URL is not set: write where the restis functions are, such as http://127.0.0.1:3030");
  // Next.js must keep no answer for another visitor.
  return (client = createClient({ url, token, fetch: (input, init) => fetch(input, { ...init, cache: "no-store" }) }));
}

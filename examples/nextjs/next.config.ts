import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

// On Vercel the project's vercel.json sends /api/* to the functions; elsewhere this server does, so that
// the browser stays on one origin and the session cookie is first-party. Read when the site is built.
const functions = process.env.VERCEL ? undefined : process.env.API_URL;

const config: NextConfig = {
  // A compressed event stream would arrive in lumps.
  compress: false,
  turbopack: { root: fileURLToPath(new URL(".", import.meta.url)) },
  async rewrites() {
    return functions ? [{ source: "/api/:path*", destination: `${functions}/api/:path*` }] : [];
  },
};

export default config;

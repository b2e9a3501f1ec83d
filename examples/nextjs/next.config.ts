import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

const require = createRequire(import.meta.url);

// On Vercel vercel.json sends /api/* to the functions; elsewhere this server does, so that browser,
// cookie and functions have one origin. Read when the site is built.
const functions = process.env.VERCEL ? undefined : process.env.API_URL;

const config: NextConfig = {
  // A compressed event stream would arrive in lumps.
  compress: false,
  cacheComponents: true,
  partialPrefetching: true,
  cacheHandlers: { default: require.resolve("restis/next/cache"), remote: require.resolve("restis/next/cache") },
  cacheMaxMemorySize: 0,
  turbopack: { root: fileURLToPath(new URL(".", import.meta.url)) },
  async rewrites() {
    return functions ? [{ source: "/api/:path*", destination: `${functions}/api/:path*` }] : [];
  },
};

export default config;

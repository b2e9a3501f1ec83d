import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

const require = createRequire(import.meta.url);

const config: NextConfig = {
  compress: false,
  cacheComponents: true,
  partialPrefetching: true,
  cacheHandlers: {
    default: require.resolve("restis/next/cache"),
    remote: require.resolve("restis/next/cache"),
  },
  cacheHandler: require.resolve("restis/next/isr"),
  cacheMaxMemorySize: 0,
  turbopack: { root: fileURLToPath(new URL("../..", import.meta.url)) },
  async rewrites() {
    return [{ source: "/api/:path*", destination: `${process.env.API_URL}/api/:path*` }];
  },
};

export default config;

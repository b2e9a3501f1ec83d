import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

const config: NextConfig = {
  compress: false,
  cacheComponents: true,
  partialPrefetching: true,
  turbopack: { root: fileURLToPath(new URL("../..", import.meta.url)) },
  async rewrites() {
    return [{ source: "/api/:path*", destination: `${process.env.API_URL}/api/:path*` }];
  },
};

export default config;

import { defineConfig } from "vitest/config";

export default defineConfig({ cacheDir: "../../.test/vitest", test: { include: ["*.test.ts"], reporters: ["json"] } });

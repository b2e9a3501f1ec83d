import { createCacheHandler } from "./handler.js";

export { createCacheHandler, type CacheEntry, type CacheHandler, type CacheHandlerOptions } from "./handler.js";
export type { StoreAddress } from "./rest.js";
export { tagOf } from "./tag.js";

/** The handler for `cacheHandlers` of `next.config`, with the store that the environment names. */
export default createCacheHandler();

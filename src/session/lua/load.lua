-- Reads a session where writes go: for a session so new that a replica may not have it yet.
-- KEYS 1 session
-- Reply: all fields and values
-- TTL unchanged.
return redis.call('HGETALL',KEYS[1])

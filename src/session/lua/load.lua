-- Reads a session where writes go: for a session so new that a replica may not have it yet.
-- KEYS and ARGV: as `Load` names them
-- Reply: all fields and values
-- TTL unchanged.
return redis.call('HGETALL',session_key)

-- Gives back a lease that is still held.
-- KEYS and ARGV: as `Release` names them
-- Reply 1, or 0 when another one holds it.
if redis.pcall('GET', lease_key) ~= holder then return 0 end
return redis.call('DEL', lease_key)

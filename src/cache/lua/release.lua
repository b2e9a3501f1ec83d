-- Gives back a lease that is still held.
-- KEYS 1 lease
-- ARGV 1 value of the holder
-- Reply 1, or 0 when another one holds it.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])

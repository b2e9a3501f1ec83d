-- Removes ended sessions from one count.
-- KEYS 1 count   ARGV 1 now 2 most
-- Reply: how many were removed
-- TTL unchanged.
local dead=redis.call('ZRANGEBYSCORE',KEYS[1],'-inf',ARGV[1],'LIMIT',0,ARGV[2])
if #dead>0 then redis.call('ZREM',KEYS[1],unpack(dead)) end
return #dead

-- Removes ended sessions from one count.
-- KEYS and ARGV: as `Sweep` names them
-- Reply: how many were removed
-- TTL unchanged.
local dead=redis.call('ZRANGEBYSCORE',count_key,'-inf',now,'LIMIT',0,most)
if #dead>0 then redis.call('ZREM',count_key,unpack(dead)) end
return #dead

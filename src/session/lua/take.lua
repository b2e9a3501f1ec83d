-- Reads fields once: returns and removes them; of parallel readers one gets them.
-- KEYS 1 session   ARGV fields
-- Reply {OK, values ('' = none)} | {GONE} | {MOVED, successor, grace end}
-- TTL unchanged.
local r=redis.call('HMGET',KEYS[1],'v','n','g')
if r[2] then return {'MOVED',r[2],r[3]} end
if not r[1] then return {'GONE'} end
local values=redis.call('HMGET',KEYS[1],unpack(ARGV))
redis.call('HDEL',KEYS[1],unpack(ARGV))
for i=1,#ARGV do values[i]=values[i] or '' end
return {'OK',values}

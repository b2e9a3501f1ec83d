-- Reads fields once: returns and removes them; of parallel readers one gets them.
-- KEYS and ARGV: as `Take` names them; from `rest` on fields
-- Reply {OK, values ('' = none)} | {GONE} | {MOVED, successor, grace end}
-- TTL unchanged.
local r=redis.call('HMGET',session_key,'v','n','g')
if r[2] then return {'MOVED',r[2],r[3]} end
if not r[1] then return {'GONE'} end
local values=redis.call('HMGET',session_key,unpack(ARGV,rest))
redis.call('HDEL',session_key,unpack(ARGV,rest))
for i=1,#ARGV-rest+1 do values[i]=values[i] or '' end
return {'OK',values}

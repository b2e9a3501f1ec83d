-- Moves a user's epoch, so that logins and rotations in flight fail, and lists what is to be revoked.
-- KEYS and ARGV: as `MoveEpoch` names them
-- Reply {epoch, sids}
-- TTL: epoch for its ms.
local call=redis.call
local epoch=string.format('%.0f',math.max(tonumber(now),tonumber(call('GET',epoch_key) or '0')+1))
call('SET',epoch_key,epoch,'PX',ttl_ms)
if kept_sid~='' and call('HEXISTS',kept_key,'v')==1 then call('HSET',kept_key,'e',epoch) end
local sids={}
for _,s in ipairs(call('ZRANGE',index_key,0,-1)) do if kept_sid=='' or s~=kept_sid then sids[#sids+1]=s end end
return {epoch,sids}

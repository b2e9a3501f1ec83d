-- Moves a user's epoch, so that logins and rotations in flight fail, and lists what is to be revoked.
-- KEYS 1 epoch 2 index 3 session to keep (the epoch key again if none)
-- ARGV 1 now 2 TTL ms 3 sid to keep ('' none)
-- Reply {epoch, sids}
-- TTL: epoch for its ms.
local call=redis.call
local epoch=string.format('%.0f',math.max(tonumber(ARGV[1]),tonumber(call('GET',KEYS[1]) or '0')+1))
call('SET',KEYS[1],epoch,'PX',ARGV[2])
if ARGV[3]~='' and call('HEXISTS',KEYS[3],'v')==1 then call('HSET',KEYS[3],'e',epoch) end
local sids={}
for _,s in ipairs(call('ZRANGE',KEYS[2],0,-1)) do if ARGV[3]=='' or s~=ARGV[3] then sids[#sids+1]=s end end
return {epoch,sids}

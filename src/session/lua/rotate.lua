-- Moves a session to a new identifier; one winner, the others learn the successor.
-- KEYS 1 old 2 new 3 index 4 epoch 5 devices 6 set 7 count of old 8 count of new
-- ARGV 1 now 2 idle ms 3 grace end (0 = the old one dies at once) 4 ms to remember the old one 5 old sid 6 new sid
--      7 flags (s set, x exact) 8.. field, value to set
-- Reply {OK, version, expiry} | {ALREADY, successor, grace end} | {GONE} | {COLLISION}
-- TTL: new at min(now + idle, absolute end); the trace of the old one for its ms, not beyond the absolute end.
local call,now,flags=redis.call,tonumber(ARGV[1]),ARGV[7]
local r=call('HMGET',KEYS[1],'v','n','g','x','u','e','dv','l')
if r[2] then return {'ALREADY',r[2],r[3]} end
if not r[1] then return {'GONE'} end
local user,x,idle=r[5],tonumber(r[4]),tonumber(ARGV[2])
local exp=math.min(now+idle,x)
local epoch=user and call('GET',KEYS[4])
-- A session from before "sign out everywhere" is being revoked right now: it must not slip away under a new name.
if now>=math.min(tonumber(r[8] or '0')+idle,x) or (epoch and epoch~=(r[6] or '0')) then
  call('UNLINK',KEYS[1])
  if user then call('ZREM',KEYS[3],ARGV[5]) end
  if flags:find('s') then call('SREM',KEYS[6],ARGV[5]) end
  if flags:find('x') then call('ZREM',KEYS[7],ARGV[5]) end
  return {'GONE'}
end
if call('EXISTS',KEYS[2])==1 then return {'COLLISION'} end
call('RENAME',KEYS[1],KEYS[2])
call('HSET',KEYS[2],'l',ARGV[1],'r',ARGV[1],unpack(ARGV,8))
call('PEXPIREAT',KEYS[2],exp)
call('HSET',KEYS[1],'n',ARGV[6],'g',ARGV[3],'u',user or '')
call('PEXPIREAT',KEYS[1],math.min(x,now+tonumber(ARGV[4])))
local function until_at_least(key,at) local t=call('PEXPIRETIME',key) if t~=-2 and t<at then call('PEXPIREAT',key,at) end end
if user then
  call('ZREM',KEYS[3],ARGV[5]); call('ZADD',KEYS[3],exp,ARGV[6]); until_at_least(KEYS[3],exp)
  if flags:find('s') then call('SREM',KEYS[6],ARGV[5]); call('SADD',KEYS[6],ARGV[6]); until_at_least(KEYS[6],exp) end
  if r[7] and call('HGET',KEYS[5],r[7])==ARGV[5] then call('HSET',KEYS[5],r[7],ARGV[6]); until_at_least(KEYS[5],exp) end
end
if flags:find('x') then call('ZREM',KEYS[7],ARGV[5]); call('ZADD',KEYS[8],exp,ARGV[6]); until_at_least(KEYS[8],exp) end
return {'OK',call('HINCRBY',KEYS[2],'v',1),exp}

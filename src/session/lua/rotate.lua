-- Moves a session to a new identifier; one winner, the others learn the successor.
-- KEYS 1 old 2 new 3 index 4 epoch 5 devices 6 set 7 count of old 8 count of new
--      9 to 12: index, epoch, devices, set of the organisation that it moves to (the same ones if it stays)
--      13 epoch everywhere 14 organisations 15 marker of what is good once
-- ARGV 1 now 2 idle ms 3 grace end (0 = the old one dies at once) 4 ms to remember the old one 5 old sid 6 new sid
--      7 flags (s set, x exact) 8 epoch seen ('' unchecked) 9 marker ms (0 none) 10 organisation 11.. field, value to set
-- Reply {OK, version, expiry} | {ALREADY, successor, grace end} | {GONE} | {USED} | {STALE} | {COLLISION}
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
local moves=KEYS[9]~=KEYS[3]
if moves then epoch=call('GET',KEYS[10]) end
if ARGV[9]~='0' and call('EXISTS',KEYS[15])==1 then return {'USED'} end
if ARGV[8]~='' then
  local seen=string.format('%.0f',tonumber(epoch or '0')+tonumber(call('GET',KEYS[13]) or '0'))
  if ARGV[8]~=seen then return {'STALE'} end
end
if call('EXISTS',KEYS[2])==1 then return {'COLLISION'} end
if ARGV[9]~='0' then call('SET',KEYS[15],ARGV[6],'PX',ARGV[9]) end
call('RENAME',KEYS[1],KEYS[2])
call('HSET',KEYS[2],'l',ARGV[1],'r',ARGV[1],unpack(ARGV,11))
call('PEXPIREAT',KEYS[2],exp)
call('HSET',KEYS[1],'n',ARGV[6],'g',ARGV[3],'u',user or '','o',ARGV[10])
call('PEXPIREAT',KEYS[1],math.min(x,now+tonumber(ARGV[4])))
local function until_at_least(key,at) local t=call('PEXPIRETIME',key) if t~=-2 and t<at then call('PEXPIREAT',key,at) end end
if user then
  call('ZREM',KEYS[3],ARGV[5]); call('ZADD',KEYS[9],exp,ARGV[6]); until_at_least(KEYS[9],exp)
  if flags:find('s') then call('SREM',KEYS[6],ARGV[5]); call('SADD',KEYS[12],ARGV[6]); until_at_least(KEYS[12],exp) end
  if r[7] and call('HGET',KEYS[5],r[7])==ARGV[5] then
    call('HDEL',KEYS[5],r[7]); call('HSET',KEYS[11],r[7],ARGV[6]); until_at_least(KEYS[11],exp)
  end
  if moves then
    if epoch then call('HSET',KEYS[2],'e',epoch); until_at_least(KEYS[10],exp) else call('HDEL',KEYS[2],'e') end
    call('ZADD',KEYS[14],'GT',x,ARGV[10]); until_at_least(KEYS[14],x)
  end
end
if flags:find('x') then call('ZREM',KEYS[7],ARGV[5]); call('ZADD',KEYS[8],exp,ARGV[6]); until_at_least(KEYS[8],exp) end
return {'OK',call('HINCRBY',KEYS[2],'v',1),exp}

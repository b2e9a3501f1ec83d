-- Extends a session: last use, expiry, index score and key TTLs from one number.
-- KEYS 1 session 2 index 3 set 4 count 5 devices
-- ARGV 1 now 2 idle ms 3 sid 4 flags (s set, x exact, h estimate) 5 public id
-- Reply {OK, expiry} | {GONE} | {MOVED, successor, grace end} | {EXPIRED}
-- TTL: session at min(now + idle, absolute end); index, set, devices, count not before that.
local call=redis.call
local r=call('HMGET',KEYS[1],'x','n','g','u','dv','l')
if r[2] then return {'MOVED',r[2],r[3]} end
local flags,sid=ARGV[4],ARGV[3]
local now,idle,x=tonumber(ARGV[1]),tonumber(ARGV[2]),tonumber(r[1] or '0')
local exp=math.min(now+idle,x)
local function until_at_least(key,at) local t=call('PEXPIRETIME',key) if t~=-2 and t<at then call('PEXPIREAT',key,at) end end
-- Ended, though the store has not dropped it yet: it must not be extended.
if now>=math.min(tonumber(r[6] or '0')+idle,x) then
  call('UNLINK',KEYS[1])
  if KEYS[2]~=KEYS[1] then call('ZREM',KEYS[2],sid) end
  if flags:find('s') then call('SREM',KEYS[3],sid) end
  if flags:find('x') then call('ZREM',KEYS[4],sid) end
  return {r[1] and 'EXPIRED' or 'GONE'}
end
call('HSET',KEYS[1],'l',ARGV[1])
call('PEXPIREAT',KEYS[1],exp)
if r[4] then
  call('ZADD',KEYS[2],exp,sid)
  until_at_least(KEYS[2],exp)
  if flags:find('s') then call('SADD',KEYS[3],sid); until_at_least(KEYS[3],exp) end
  if r[5] then until_at_least(KEYS[5],exp) end
end
if flags:find('x') then redis.pcall('ZADD',KEYS[4],exp,sid); until_at_least(KEYS[4],exp)
elseif flags:find('h') then redis.pcall('PFADD',KEYS[4],ARGV[5]); until_at_least(KEYS[4],exp+3600000) end
return {'OK',exp}

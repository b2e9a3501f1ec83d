-- Extends a session: last use, expiry, index score and key TTLs from one number.
-- KEYS and ARGV: as `Touch` names them
-- Reply {OK, expiry} | {GONE} | {MOVED, successor, grace end} | {EXPIRED}
-- TTL: session at min(now + idle, absolute end); index, set, devices, count not before that.
local call=redis.call
local r=call('HMGET',session_key,'x','n','g','u','dv','l')
if r[2] then return {'MOVED',r[2],r[3]} end
local at,idle,x=tonumber(now),tonumber(idle_ms),tonumber(r[1] or '0')
local exp=math.min(at+idle,x)
local function until_at_least(key,at) local t=call('PEXPIRETIME',key) if t~=-2 and t<at then call('PEXPIREAT',key,at) end end
-- Ended, though the store has not dropped it yet: it must not be extended.
if at>=math.min(tonumber(r[6] or '0')+idle,x) then
  call('UNLINK',session_key)
  if index_key~=session_key then call('ZREM',index_key,sid) end
  if flags:find('s') then call('SREM',set_key,sid) end
  if flags:find('x') then call('ZREM',count_key,sid) end
  return {r[1] and 'EXPIRED' or 'GONE'}
end
call('HSET',session_key,'l',now)
call('PEXPIREAT',session_key,exp)
if r[4] then
  call('ZADD',index_key,exp,sid)
  until_at_least(index_key,exp)
  if flags:find('s') then call('SADD',set_key,sid); until_at_least(set_key,exp) end
  if r[5] then until_at_least(devices_key,exp) end
end
if flags:find('x') then redis.pcall('ZADD',count_key,exp,sid); until_at_least(count_key,exp)
elseif flags:find('h') then redis.pcall('PFADD',count_key,public_id); until_at_least(count_key,exp+3600000) end
return {'OK',exp}

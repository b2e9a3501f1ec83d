-- Moves a session to a new identifier; one winner, the others learn the successor.
-- KEYS and ARGV: as `Rotate` names them; from `rest` on field, value to set
-- Reply {OK, version, expiry} | {ALREADY, successor, grace end} | {GONE} | {USED} | {STALE} | {COLLISION}
-- TTL: new at min(now + idle, absolute end); the trace of the old one for its ms, not beyond the absolute end.
local call,at=redis.call,tonumber(now)
local r=call('HMGET',old_key,'v','n','g','x','u','e','dv','l')
if r[2] then return {'ALREADY',r[2],r[3]} end
if not r[1] then return {'GONE'} end
local user,x,idle=r[5],tonumber(r[4]),tonumber(idle_ms)
local exp=math.min(at+idle,x)
local epoch=user and call('GET',epoch_key)
-- A session from before "sign out everywhere" is being revoked right now: it must not slip away under a new name.
if at>=math.min(tonumber(r[8] or '0')+idle,x) or (epoch and epoch~=(r[6] or '0')) then
  call('UNLINK',old_key)
  if user then call('ZREM',index_key,old_sid) end
  if flags:find('s') then call('SREM',set_key,old_sid) end
  if flags:find('x') then call('ZREM',old_count_key,old_sid) end
  return {'GONE'}
end
local moves=next_index_key~=index_key
if moves then epoch=call('GET',next_epoch_key) end
if marker_ms~='0' and call('EXISTS',marker_key)==1 then return {'USED'} end
if epoch_seen~='' then
  local seen=string.format('%.0f',tonumber(epoch or '0')+tonumber(call('GET',everywhere_key) or '0'))
  if epoch_seen~=seen then return {'STALE'} end
end
if call('EXISTS',new_key)==1 then return {'COLLISION'} end
if marker_ms~='0' then call('SET',marker_key,new_sid,'PX',marker_ms) end
call('RENAME',old_key,new_key)
call('HSET',new_key,'l',now,'r',now,unpack(ARGV,rest))
call('PEXPIREAT',new_key,exp)
call('HSET',old_key,'n',new_sid,'g',grace_end,'u',user or '','o',organisation)
call('PEXPIREAT',old_key,math.min(x,at+tonumber(memory_ms)))
local function until_at_least(key,at) local t=call('PEXPIRETIME',key) if t~=-2 and t<at then call('PEXPIREAT',key,at) end end
if user then
  call('ZREM',index_key,old_sid); call('ZADD',next_index_key,exp,new_sid); until_at_least(next_index_key,exp)
  if flags:find('s') then call('SREM',set_key,old_sid); call('SADD',next_set_key,new_sid); until_at_least(next_set_key,exp) end
  if r[7] and call('HGET',devices_key,r[7])==old_sid then
    call('HDEL',devices_key,r[7]); call('HSET',next_devices_key,r[7],new_sid); until_at_least(next_devices_key,exp)
  end
  if moves then
    if epoch then call('HSET',new_key,'e',epoch); until_at_least(next_epoch_key,exp) else call('HDEL',new_key,'e') end
    call('ZADD',organisations_key,'GT',x,organisation); until_at_least(organisations_key,x)
  end
end
if flags:find('x') then call('ZREM',old_count_key,old_sid); call('ZADD',new_count_key,exp,new_sid); until_at_least(new_count_key,exp) end
return {'OK',call('HINCRBY',new_key,'v',1),exp}

-- Creates a session: epoch check, repeated login, replacement, device slot, cap, index, count.
-- KEYS and ARGV: as `Create` names them; from `rest` on field, value
-- Reply {OK, live, over, other user, successor, other organisation, swept} | {STALE} | {REPEATED, nonce} | {COLLISION} | {LIMIT, live}
-- TTL: session and index end at the expiry; organisations after the last absolute end; marker after its ms; count after the last expiry.
local call,exp,cap=redis.call,tonumber(expiry),tonumber(most)
local known,epoch,n,over=false,false,0,{}
local function until_at_least(key,at) if call('PEXPIRETIME',key)<at then call('PEXPIREAT',key,at) end end
if nonce~='' then local first=call('GET',marker_key) if first then return {'REPEATED',first} end end
if user~='' then
  epoch=call('GET',epoch_key)
  local seen=string.format('%.0f',tonumber(epoch or '0')+tonumber(call('GET',everywhere_key) or '0'))
  if epoch_seen~='' and epoch_seen~=seen then return {'STALE'} end
  if flags:find('s') then for _,s in ipairs(call('ZRANGEBYSCORE',index_key,'-inf',now)) do call('SREM',set_key,s) end end
  call('ZREMRANGEBYSCORE',index_key,'-inf',now)
  n=call('ZCARD',index_key)
  known=device~='' and call('HGET',devices_key,device)
  if old~='' and call('ZSCORE',index_key,old) then n=n-1 end
  if known and known~=old and call('ZSCORE',index_key,known) then n=n-1; over[1]=known end
  if cap>0 and policy=='reject' and n>=cap then return {'LIMIT',n} end
end
if call('EXISTS',session_key)==1 then return {'COLLISION'} end
local was=old~='' and call('HMGET',replaced_key,'u','n','o') or {}
if old~='' then call('UNLINK',replaced_key) if flags:find('x') then call('ZREM',replaced_count_key,old) end end
call('HSET',session_key,unpack(ARGV,rest))
call('PEXPIREAT',session_key,exp)
if user~='' then
  if epoch then call('HSET',session_key,'e',epoch); until_at_least(epoch_key,exp) end
  redis.pcall('ZREMRANGEBYSCORE',organisations_key,'-inf',now)
  redis.pcall('ZADD',organisations_key,'GT',absolute_end,organisation); until_at_least(organisations_key,tonumber(absolute_end))
  call('ZREM',index_key,old)
  local top=tonumber(call('ZRANGE',index_key,-1,-1,'WITHSCORES')[2] or '0')
  -- No end that we wrote: another program's, up to infinity, which no key can expire at.
  if top>=2^53 then top=0 end
  -- Within one millisecond the newest must still sort last, or two logins could evict each other.
  local score=(math.floor(top)==exp and top+1/2048<exp+1) and top+1/2048 or exp
  call('ZADD',index_key,score,sid)
  call('PEXPIREAT',index_key,math.max(math.floor(top),exp))
  if flags:find('s') then call('SREM',set_key,old); call('SADD',set_key,sid); call('PEXPIREAT',set_key,math.max(math.floor(top),exp)) end
  if device~='' then
    if call('HLEN',devices_key)>=64 then
      local all=call('HGETALL',devices_key)
      for i=1,#all,2 do if not call('ZSCORE',index_key,all[i+1]) then call('HDEL',devices_key,all[i]) end end
    end
    call('HSET',devices_key,device,sid); until_at_least(devices_key,exp)
  end
  local excess=(cap>0) and n+1-cap or 0
  for _,s in ipairs(excess>0 and call('ZRANGE',index_key,0,excess+1) or {}) do
    if excess>0 and s~=sid and s~=over[1] then over[#over+1]=s; excess=excess-1 end
  end
end
if nonce~='' then call('SET',marker_key,nonce,'PX',marker_ms) end
local swept=0
if flags:find('x') then
  for _,s in ipairs(call('ZRANGEBYSCORE',count_key,'-inf',now,'LIMIT',0,3)) do swept=swept+call('ZREM',count_key,s) end
  redis.pcall('ZADD',count_key,exp,sid); until_at_least(count_key,exp)
elseif flags:find('h') then redis.pcall('PFADD',count_key,public_id); until_at_least(count_key,exp+3600000) end
return {'OK',n+1,over,was[1] or '',was[2] or '',was[3] or '',swept}

-- Creates a session: epoch check, repeated login, replacement, device slot, cap, index, count.
-- KEYS 1 session 2 index 3 epoch 4 replaced session 5 devices 6 login marker 7 set 8 count 9 count of the replaced
--      10 epoch everywhere 11 organisations
-- ARGV 1 now 2 expiry 3 cap (0 none) 4 evict|reject 5 epoch seen ('' unchecked) 6 sid 7 replaced sid 8 user ('' none)
--      9 device 10 nonce and fingerprint 11 marker ms 12 flags (s set, x exact, h estimate) 13 public id
--      14 organisation 15 absolute end 16.. field, value
-- Reply {OK, live, over, other user, successor, other organisation, swept} | {STALE} | {REPEATED, nonce} | {COLLISION} | {LIMIT, live}
-- TTL: session and index end at the expiry; organisations after the last absolute end; marker after its ms; count after the last expiry.
local call,now,exp,cap,sid,old,flags=redis.call,ARGV[1],tonumber(ARGV[2]),tonumber(ARGV[3]),ARGV[6],ARGV[7],ARGV[12]
local user,device,epoch,n,over=ARGV[8]~='',false,false,0,{}
local function until_at_least(key,at) if call('PEXPIRETIME',key)<at then call('PEXPIREAT',key,at) end end
if ARGV[10]~='' then local first=call('GET',KEYS[6]) if first then return {'REPEATED',first} end end
if user then
  epoch=call('GET',KEYS[3])
  local seen=string.format('%.0f',tonumber(epoch or '0')+tonumber(call('GET',KEYS[10]) or '0'))
  if ARGV[5]~='' and ARGV[5]~=seen then return {'STALE'} end
  if flags:find('s') then for _,s in ipairs(call('ZRANGEBYSCORE',KEYS[2],'-inf',now)) do call('SREM',KEYS[7],s) end end
  call('ZREMRANGEBYSCORE',KEYS[2],'-inf',now)
  n=call('ZCARD',KEYS[2])
  device=ARGV[9]~='' and call('HGET',KEYS[5],ARGV[9])
  if old~='' and call('ZSCORE',KEYS[2],old) then n=n-1 end
  if device and device~=old and call('ZSCORE',KEYS[2],device) then n=n-1; over[1]=device end
  if cap>0 and ARGV[4]=='reject' and n>=cap then return {'LIMIT',n} end
end
if call('EXISTS',KEYS[1])==1 then return {'COLLISION'} end
local was=old~='' and call('HMGET',KEYS[4],'u','n','o') or {}
if old~='' then call('UNLINK',KEYS[4]) if flags:find('x') then call('ZREM',KEYS[9],old) end end
call('HSET',KEYS[1],unpack(ARGV,16))
call('PEXPIREAT',KEYS[1],exp)
if user then
  if epoch then call('HSET',KEYS[1],'e',epoch); until_at_least(KEYS[3],exp) end
  redis.pcall('ZREMRANGEBYSCORE',KEYS[11],'-inf',now)
  redis.pcall('ZADD',KEYS[11],'GT',ARGV[15],ARGV[14]); until_at_least(KEYS[11],tonumber(ARGV[15]))
  call('ZREM',KEYS[2],old)
  local top=tonumber(call('ZRANGE',KEYS[2],-1,-1,'WITHSCORES')[2] or '0')
  -- No end that we wrote: another program's, up to infinity, which no key can expire at.
  if top>=2^53 then top=0 end
  -- Within one millisecond the newest must still sort last, or two logins could evict each other.
  local score=(math.floor(top)==exp and top+1/2048<exp+1) and top+1/2048 or exp
  call('ZADD',KEYS[2],score,sid)
  call('PEXPIREAT',KEYS[2],math.max(math.floor(top),exp))
  if flags:find('s') then call('SREM',KEYS[7],old); call('SADD',KEYS[7],sid); call('PEXPIREAT',KEYS[7],math.max(math.floor(top),exp)) end
  if ARGV[9]~='' then
    if call('HLEN',KEYS[5])>=64 then
      local all=call('HGETALL',KEYS[5])
      for i=1,#all,2 do if not call('ZSCORE',KEYS[2],all[i+1]) then call('HDEL',KEYS[5],all[i]) end end
    end
    call('HSET',KEYS[5],ARGV[9],sid); until_at_least(KEYS[5],exp)
  end
  local excess=(cap>0) and n+1-cap or 0
  for _,s in ipairs(excess>0 and call('ZRANGE',KEYS[2],0,excess+1) or {}) do
    if excess>0 and s~=sid and s~=over[1] then over[#over+1]=s; excess=excess-1 end
  end
end
if ARGV[10]~='' then call('SET',KEYS[6],ARGV[10],'PX',ARGV[11]) end
local swept=0
if flags:find('x') then
  for _,s in ipairs(call('ZRANGEBYSCORE',KEYS[8],'-inf',now,'LIMIT',0,3)) do swept=swept+call('ZREM',KEYS[8],s) end
  redis.pcall('ZADD',KEYS[8],exp,sid); until_at_least(KEYS[8],exp)
elseif flags:find('h') then redis.pcall('PFADD',KEYS[8],ARGV[13]); until_at_least(KEYS[8],exp+3600000) end
return {'OK',n+1,over,was[1] or '',was[2] or '',was[3] or '',swept}

-- Changes fields of a session that exists: sets, increments, removals; never creates one.
-- KEYS and ARGV: as `Update` names them; from `rest` on field, value for each set; field, amount for each
--      increment; the rest are fields to remove
-- Reply {OK, version, values after the increments} | {GONE} | {MOVED, successor, grace end} | {CONFLICT, version} | {FULL} | {OVERFLOW}
-- TTL unchanged.
local call,key,sets,incs=redis.call,session_key,tonumber(set_count),tonumber(increment_count)
local r=call('HMGET',key,'v','n','g')
if r[2] then return {'MOVED',r[2],r[3]} end
if not r[1] then return {'GONE'} end
if version~='-1' and version~=r[1] then return {'CONFLICT',tonumber(r[1])} end
local first_inc=rest+2*sets
local first_removal=first_inc+2*incs
local new=0
for i=rest,first_removal-1,2 do if call('HEXISTS',key,ARGV[i])==0 then new=new+1 end end
if new>0 and call('HLEN',key)+new>tonumber(most_fields) then return {'FULL'} end
local values={}
for i=first_inc,first_removal-1,2 do
  local v=redis.pcall('HINCRBY',key,ARGV[i],ARGV[i+1])
  if type(v)=='table' then
    -- All or nothing: take back the increments that went through.
    for j=first_inc,i-1,2 do call('HINCRBY',key,ARGV[j],string.format('%.0f',-tonumber(ARGV[j+1]))) end
    return {'OVERFLOW'}
  end
  values[#values+1]=call('HGET',key,ARGV[i])
end
if sets>0 then call('HSET',key,unpack(ARGV,rest,first_inc-1)) end
if #ARGV>=first_removal then call('HDEL',key,unpack(ARGV,first_removal)) end
return {'OK',call('HINCRBY',key,'v',1),values}

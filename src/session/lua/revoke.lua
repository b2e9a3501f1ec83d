-- Deletes sessions of one user together with their index entries.
-- KEYS 1 index 2 set, then per session: session, count
-- ARGV 1 flags (s set, x exact), then per session: sid
-- Reply {sids that were live, successors of identifiers that had been renewed, users of what was found, users of the successors};
--       users as id and organisation in turn, '' for none
-- TTL: deletes only.
local call,flags=redis.call,ARGV[1]
local ended,successors,users,heirs={},{},{},{}
for i=2,#ARGV do
  local sid,key,count=ARGV[i],KEYS[2*i-1],KEYS[2*i]
  local r=call('HMGET',key,'n','u','o')
  local list=users
  if r[1] then successors[#successors+1]=r[1]; list=heirs end
  if r[1] or r[2] then list[#list+1]=r[2] or ''; list[#list+1]=r[3] or '' end
  if call('UNLINK',key)==1 and not r[1] then ended[#ended+1]=sid end
  if KEYS[1]~=key then call('ZREM',KEYS[1],sid) end
  if flags:find('s') and KEYS[2]~=key then call('SREM',KEYS[2],sid) end
  if flags:find('x') then call('ZREM',count,sid) end
end
return {ended,successors,users,heirs}

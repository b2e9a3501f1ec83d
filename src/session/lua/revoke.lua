-- Deletes sessions of one user together with their index entries.
-- KEYS and ARGV: as `Revoke` names them; from `rest_keys` on for each session its key and its count, from `rest` on its sid
-- Reply {sids that were live, successors of identifiers that had been renewed, users of what was found, users of the successors};
--       users as id and organisation in turn, '' for none
-- TTL: deletes only.
local call,flags=redis.call,flags
local ended,successors,users,heirs={},{},{},{}
for i=0,#ARGV-rest do
  local sid,key,count=ARGV[rest+i],KEYS[rest_keys+2*i],KEYS[rest_keys+2*i+1]
  local r=call('HMGET',key,'n','u','o')
  local list=users
  if r[1] then successors[#successors+1]=r[1]; list=heirs end
  if r[1] or r[2] then list[#list+1]=r[2] or ''; list[#list+1]=r[3] or '' end
  if call('UNLINK',key)==1 and not r[1] then ended[#ended+1]=sid end
  if index_key~=key then call('ZREM',index_key,sid) end
  if flags:find('s') and set_key~=key then call('SREM',set_key,sid) end
  if flags:find('x') then call('ZREM',count,sid) end
end
return {ended,successors,users,heirs}

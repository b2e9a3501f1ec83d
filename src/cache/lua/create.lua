-- Creates markers that are missing or are none.
-- KEYS and ARGV: as `CreateMarkers` names them; from `rest_keys` on the markers
-- Reply the value of each.
-- TTL: a new marker `ttl_ms`.
local all = {}
for i = rest_keys, #KEYS do
  local key = KEYS[i]
  local now = redis.pcall('GET', key)
  if type(now) ~= 'string' or #now ~= 24 then
    now = new_value .. '............'
    redis.call('SET', key, now, 'PX', ttl_ms)
  end
  all[#all + 1] = now
end
return all

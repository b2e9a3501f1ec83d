-- Creates markers that are missing or are none.
-- KEYS markers
-- ARGV 1 new unique value 2 ttl ms
-- Reply the value of each.
-- TTL: a new marker ARGV 2.
local all = {}
for i = 1, #KEYS do
  local now = redis.pcall('GET', KEYS[i])
  if type(now) ~= 'string' or #now ~= 24 then
    now = ARGV[1] .. '............'
    redis.call('SET', KEYS[i], now, 'PX', ARGV[2])
  end
  all[i] = now
end
return all

-- Creates markers that are missing, where the store may evict them.
-- KEYS markers
-- ARGV 1 new unique value 2 ttl ms
-- Reply the value of each.
-- TTL: a new marker ARGV 2.
local all = {}
for i = 1, #KEYS do
  local now = redis.call('GET', KEYS[i])
  if not now then
    now = ARGV[1] .. '............'
    redis.call('SET', KEYS[i], now, 'PX', ARGV[2])
  end
  all[i] = now
end
return all

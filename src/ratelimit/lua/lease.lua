-- Holds, renews or gives back one of a limited number of concurrent leases.
-- KEYS 1 leases, a sorted set of ids by expiry
-- ARGV 1 now ms, 0 takes the server's clock 2 acquire | renew | release 3 lease id 4 limit 5 ttl ms
-- Reply {1 held | 0 not, leases in use, earliest expiry ms or 0}
-- TTL: until the last lease expires.
local call = redis.call
local now, what, id, limit, ttl = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if now == 0 then local t = call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local text = function(n) return string.format('%.0f', n) end
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
local held = call('ZSCORE', KEYS[1], id)
local ok = 0
if what == 'release' then
  ok = call('ZREM', KEYS[1], id)
elseif held or (what == 'acquire' and call('ZCARD', KEYS[1]) < limit) then
  call('ZADD', KEYS[1], text(now + ttl), id)
  ok = 1
end
local last = call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then call('PEXPIREAT', KEYS[1], last[2]) end
local first = call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {ok, call('ZCARD', KEYS[1]), first[2] and tonumber(first[2]) or 0}

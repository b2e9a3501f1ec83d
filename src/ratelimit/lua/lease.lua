-- Holds, renews or gives back one of a limited number of concurrent leases.
-- KEYS and ARGV: as `LeaseCall` names them; `leases_key` is a sorted set of ids by expiry
-- Reply {1 held | 0 not, leases in use, earliest expiry ms or 0}
-- TTL: until the last lease expires.
local call = redis.call
local now, ttl = tonumber(now_ms), tonumber(ttl_ms)
if now == 0 then local t = call('TIME'); now = t[1] * 1000 + math.floor(t[2] / 1000) end
local text = function(n) return string.format('%.0f', n) end
call('ZREMRANGEBYSCORE', leases_key, '-inf', text(now))
local held = call('ZSCORE', leases_key, id)
local ok = 0
if operation == 'release' then
  ok = call('ZREM', leases_key, id)
elseif held or (operation == 'acquire' and call('ZCARD', leases_key) < tonumber(limit)) then
  call('ZADD', leases_key, text(now + ttl), id)
  ok = 1
end
local last = call('ZRANGE', leases_key, -1, -1, 'WITHSCORES')
if last[2] then call('PEXPIREAT', leases_key, last[2]) end
local first = call('ZRANGE', leases_key, 0, 0, 'WITHSCORES')
return {ok, call('ZCARD', leases_key), first[2] and tonumber(first[2]) or 0}

-- One endpoint's circuit: counts failures in a row, opens it for a time that doubles.
-- KEYS 1 circuit   ARGV 1 ok | failed | ask 2 failures that open 3 open ms 4 most open ms 5 ttl ms
-- Reply: ms until the endpoint may be tried, 0 now. While open, one ask a period is let through as a probe.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if ARGV[1] == 'ok' then redis.call('DEL', KEYS[1]); return 0 end
local c = redis.call('HMGET', KEYS[1], 'n', 'until')
local n, till = tonumber(c[1] or 0), tonumber(c[2] or 0)
if ARGV[1] == 'failed' then
  n = n + 1
  if n >= tonumber(ARGV[2]) then till = now + math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) * 2 ^ math.min(n - tonumber(ARGV[2]), 20)) end
elseif till == 0 then return 0
elseif till > now then return till - now
else till = now + tonumber(ARGV[3]) end
redis.call('HSET', KEYS[1], 'n', n, 'until', string.format('%.0f', till))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0

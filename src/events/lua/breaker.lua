-- One endpoint's circuit: counts different events that failed in a row, opens it for a time that doubles.
-- KEYS 1 circuit   ARGV 1 ok | failed | ask 2 failures that open 3 open ms 4 most open ms 5 ttl ms 6 the event
-- Reply: ms until the endpoint may be tried, 0 now. While open, one ask a period is let through as a probe.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if ARGV[1] == 'ok' then redis.call('DEL', KEYS[1]); return 0 end
local c = own('HMGET', KEYS[1], 'n', 'until', 'e:' .. ARGV[6])
local n, till = whole(c[1]) or 0, whole(c[2]) or 0
if till > now + tonumber(ARGV[4]) then till = 0 end
if ARGV[1] == 'failed' then
  -- While it is open only a probe gets here: its failure counts, whatever its event.
  if c[3] and n < tonumber(ARGV[2]) then return 0 end
  n = n + 1
  if n >= tonumber(ARGV[2]) then till = now + math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) * 2 ^ math.min(n - tonumber(ARGV[2]), 20)) end
  if n <= tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], 'e:' .. ARGV[6], 1) end
elseif till == 0 then return 0
elseif till > now then return till - now
else till = now + tonumber(ARGV[3]) end
redis.call('HSET', KEYS[1], 'n', string.format('%.0f', n), 'until', string.format('%.0f', till))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0

-- One endpoint's circuit: counts different events that failed in a row, opens it for a time that doubles.
-- KEYS and ARGV: as `Breaker` names them; `word` is ok | failed | ask
-- Reply: ms until the endpoint may be tried, 0 now. While open, one ask a period is let through as a probe.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if word == 'ok' then redis.call('DEL', circuit_key); return 0 end
local c = own('HMGET', circuit_key, 'n', 'until', 'e:' .. event)
local n, till = whole(c[1]) or 0, whole(c[2]) or 0
if till > now + tonumber(most_open_ms) then till = 0 end
if word == 'failed' then
  -- While it is open only a probe gets here: its failure counts, whatever its event.
  if c[3] and n < tonumber(failures) then return 0 end
  n = n + 1
  if n >= tonumber(failures) then till = now + math.min(tonumber(most_open_ms), tonumber(open_ms) * 2 ^ math.min(n - tonumber(failures), 20)) end
  if n <= tonumber(failures) then redis.call('HSET', circuit_key, 'e:' .. event, 1) end
elseif till == 0 then return 0
elseif till > now then return till - now
else till = now + tonumber(open_ms) end
redis.call('HSET', circuit_key, 'n', string.format('%.0f', n), 'until', string.format('%.0f', till))
redis.call('PEXPIRE', circuit_key, ttl_ms)
return 0

-- Judges one limit for a cost, with its counters and dynamic limits.
-- Returns {what may be used in full, what is left, when it resets, when the cost fits, what can be given
-- back, how to take, whether a counter is no whole number}; taking returns when it then resets, if that
-- is another time. Returns nothing when the server's time is in another period.
local function add(key, amount, ttl)
  call('INCRBY', key, int(amount))
  if call('PTTL', key) < 0 then call('PEXPIRE', key, int(max(1, ttl))) end
end
local function judge(kind, limit, window, rate, overrides, next_key, now, server, cost)
  local key, index, broken = next_key(), floor(now / window), false
  if server and kind == 'C' and (now < rate or now >= window) then return end
  local function count(counter)
    local text = call('GET', counter)
    local n = number(text) or 0
    if text and (text ~= int(n) or n >= 2^53) then broken = true end
    return n
  end
  local previous = key
  if server and (kind == 'F' or kind == 'S') then
    key, previous = key .. ':' .. int(index), key .. ':' .. int(index - 1)
  elseif kind == 'S' then
    previous = next_key()
  end
  for _ = 1, overrides do
    local override = number(read('GET', next_key()))
    if override and override >= 0 and override < 2^53 then limit = floor(override) end
  end
  local left, reset, fits, back, take
  if kind == 'F' or kind == 'C' then
    reset = kind == 'F' and (index + 1) * window or window
    left, reset, fits, back = fixed(limit, count(key), reset)
    take = function(n) add(key, n, kind == 'F' and window or window - now) end
  elseif kind == 'S' then
    local start, current, before = index * window, count(key), number(call('MGET', previous)[1]) or 0
    left, reset, back = limit - current - sliding_share(window, start, now, before), start + window, max(current, 0)
    fits = sliding_fits(limit, window, start, current, before, cost)
    take = function(n) add(key, n, 2 * window + 1000) end
  elseif kind == 'T' then
    left, reset, fits, back, take = bucket(key, limit, window, rate, now, cost)
  else
    if limit == 0 then limit, rate = 1, 0 end
    left, reset, fits, back, take = gcra(key, limit, window, rate, now, cost)
  end
  return {kind == 'G' and rate or limit, left, reset, fits, back, take, broken}
end

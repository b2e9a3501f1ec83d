-- Token bucket: a hash of tokens and the last refill; whole intervals refill.
-- Returns what is left, when it is refilled, when the cost fits, what can be given back, how to take.
-- TTL: until the bucket is full again.
local function bucket(key, limit, window, rate, now, cost)
  local stored = call('HMGET', key, 'refilledAt', 'tokens')
  local filled, tokens = number(stored[1]), number(stored[2])
  if not filled or not tokens or filled > now + window then
    filled, tokens = now, tokens and min(tokens, limit) or limit
  end
  local steps = floor((now - filled) / window)
  if steps > 0 then
    tokens, filled = min(limit, tokens + steps * rate), filled + steps * window
  end
  local fits = filled + max(1, ceil((cost - tokens) / rate)) * window
  local function take(n)
    local rest = tokens - n
    call('HSET', key, 'refilledAt', int(filled), 'tokens', string.format('%.17g', rest))
    call('PEXPIRE', key, int(max(1, ceil((limit - rest) / rate)) * window))
  end
  return floor(tokens), filled + window, fits, max(0, floor(limit - tokens)), take
end

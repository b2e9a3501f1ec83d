-- GCRA: one time, when everything is there again. In units of 1/limit ms every number is whole: what
-- is taken ahead of now, and all that can be.
-- Returns what is left, when it is full, when the cost fits, what can be given back, how to take (which
-- returns when it is then full).
-- TTL: until it is full again.
local function gcra(key, limit, window, burst, now, cost)
  local ms, part = string.match(call('GET', key) or '', '^(%d+)%.?(%d*)$')
  local all, ahead = burst * window, 0
  if ms then
    ahead = (tonumber(ms) - now) * limit + floor(tonumber('0.' .. part .. '0') * limit + 0.5)
  end
  ahead = min(max(ahead, 0), all)
  local fits = now + ceil((ahead + cost * window - all) / limit)
  local function take(n)
    local next = max(0, ahead + n * window)
    local at, rest, ttl = int(now + floor(next / limit)), next % limit, ceil(next / limit)
    if rest > 0 then at = at .. string.format('.%015.0f', floor(rest / limit * 1e15)) end
    if ttl > 0 then call('SET', key, at, 'PX', int(ttl)) else call('DEL', key) end
    return now + ttl
  end
  return floor((all - ahead) / window), now + ceil(ahead / limit), fits, floor(ahead / window), take
end

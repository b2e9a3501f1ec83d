-- One fixed or sliding window takes the cost, or nothing: limit.lua's decision for the common case.
-- KEYS 1 this window  2 the one before (sliding only)
-- ARGV 1 now ms  2 cost, above 0  3 limit  4 window ms
-- Reply what is left after it was taken, or {what is left, retry at ms, -1 for never} when it was not
-- TTL: fixed window, sliding 2*window+1000.
local call, floor = redis.call, math.floor
local now, cost, limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local key, previous = KEYS[1], KEYS[2]
local cur, prev = tonumber(call('GET', key)) or 0, previous and tonumber(call('GET', previous)) or 0
local passed = now % window
local left = limit - cur - (prev == 0 and 0 or floor((1 - passed / window) * prev))
if cost <= left then
  call('INCRBY', key, ARGV[2])
  -- Always at first, and where an old client left a negative count without expiry.
  if cur < cost then call('PEXPIRE', key, previous and 2 * window + 1000 or window) end
  return left - cost
end
local at, reset = now - passed + window, now - passed + window
local fits = function(from, room, weight) return from + floor(window * math.max(0, 1 - (room + 1) / weight)) + 1 end
if cost > limit then at = -1
elseif previous and limit - cur - cost >= 0 and prev > 0 then at = fits(now - passed, limit - cur - cost, prev)
elseif previous and cur > 0 then at = fits(reset, limit - cost, cur) end
return {math.max(0, left), at}

-- One fixed or sliding window takes the cost, or nothing: limit.lua's decision for the common case.
-- KEYS 1 this window  2 the one before (sliding only)
-- ARGV 1 now ms  2 cost, above 0  3 limit  4 window ms
-- Reply {1 yes | 0 no, retry at ms, now ms, limit, remaining, reset ms, retry at ms}, retry -1 for never
-- TTL: fixed window, sliding 2*window+1000.
local call, floor = redis.call, math.floor
local now, cost, limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local counts = call('MGET', unpack(KEYS))
local cur, prev = tonumber(counts[1]) or 0, tonumber(counts[2] or 0) or 0
local start = now - now % window
local left, reset = limit - cur - floor((1 - (now - start) / window) * prev), start + window
if cost <= left then
  call('INCRBY', KEYS[1], ARGV[2])
  -- Always at first, and where an old client left a negative count without expiry.
  if cur < cost then call('PEXPIRE', KEYS[1], KEYS[2] and 2 * window + 1000 or window) end
  return {1, 0, now, limit, left - cost, reset, 0}
end
local at = reset
local fits = function(from, room, weight) return from + floor(window * math.max(0, 1 - (room + 1) / weight)) + 1 end
if cost > limit then at = -1
elseif KEYS[2] and limit - cur - cost >= 0 and prev > 0 then at = fits(start, limit - cur - cost, prev)
elseif KEYS[2] and cur > 0 then at = fits(reset, limit - cost, cur) end
return {0, at, now, limit, math.max(0, left), reset, at}

-- Fixed or sliding windows that take their cost or nothing: limit.lua's decision for the common
-- case, for many requests in one call. A request is counted first; one that is refused is taken
-- back within the call.
-- KEYS for each request: this window, the one before (sliding only)
-- ARGV 1 limit, window ms, keys of a request, now ms and cost from 1 to limit, blanks between them
-- Reply for each request: what is left after it was taken, or {what is left, retry at ms} when it
--       was not, or the text of an error, which is this request's alone
-- TTL: fixed window, sliding 2*window+1000.
local limit, window, step, now, n = string.match(ARGV[1], '^(%d+) (%d+) (%d) (%d+) (%d+)$')
limit, window, step, now = tonumber(limit), tonumber(window), tonumber(step), tonumber(now)
local keys, cost, start, sliding = KEYS, tonumber(n), now - now % window, step == 2
local ttl = sliding and 2 * window + 1000 or window
local before, replies, request, requests = {}, {}, 0, #keys / step
if sliding then
  for i = 2, #keys, 2 do before[i / 2] = keys[i] end
  before = call('MGET', unpack(before))
end
local function refuse(room, count, prev)
  local fits = sliding and sliding_fits(limit, window, start, count, prev, cost) or start + window
  return {max(0, room - count), fits}
end
local key, prev, room
-- Counts first: most requests fit. What does not is taken back.
local function decide()
  while request < requests do
    request = request + 1
    key, prev, room = keys[(request - 1) * step + 1], before[request] or 0, limit
    if prev ~= 0 then room = limit - sliding_share(window, start, now, prev) end
    local sum = cost == 1 and call('INCR', key) or call('INCRBY', key, n)
    if sum <= room then
      replies[request] = room - sum
      -- A counter of an old client may have no expiry.
      if sum <= cost or call('PTTL', key) < 0 then call('PEXPIRE', key, ttl) end
    else
      if sum == cost then call('DEL', key)
      else call('DECRBY', key, n); if call('PTTL', key) < 0 then call('PEXPIRE', key, ttl) end end
      replies[request] = refuse(room, sum - cost, tonumber(prev))
    end
  end
end
-- A window before that is no number counts as none. What cannot be counted is refused for what is
-- there, or fails alone.
local done, why = pcall(decide)
while not done do
  if before[request] and not tonumber(before[request]) then
    before[request], request = false, request - 1
  else
    local count = tonumber(redis.pcall('GET', key)) or 0
    if cost > room - count then replies[request] = refuse(room, count, tonumber(prev))
    else replies[request] = type(why) == 'table' and why.err or tostring(why) end
  end
  done, why = pcall(decide)
end
return replies

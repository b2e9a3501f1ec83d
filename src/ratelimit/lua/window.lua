-- Fixed or sliding windows that take their cost or nothing: limit.lua's decision for the common
-- case, for many questions in one call.
-- KEYS for each question: this window, the one before (sliding only)
-- ARGV 1 limit, window ms, keys of a question, now ms and cost above 0, with blanks between them
-- Reply for each question: what is left after it was taken, or {what is left, retry at ms, -1 for
--       never} when it was not, or the text of an error, which is this question's alone
-- TTL: fixed window, sliding 2*window+1000.
local call, pcall, floor, max, tonumber, type = redis.call, redis.pcall, math.floor, math.max, tonumber, type
local limit, window, step, now, n = string.match(ARGV[1], '^(%d+) (%d+) (%d) (%d+) (%d+)$')
limit, window, now, step = tonumber(limit), tonumber(window), tonumber(now), tonumber(step)
local keys, cost, start, sliding = KEYS, tonumber(n), now - now % window, step == 2
local ttl, weight, before, replies = sliding and 2 * window + 1000 or window, 1 - (now - start) / window, {}, {}
if sliding then
  for i = 2, #keys, 2 do before[i / 2] = keys[i] end
  before = call('MGET', unpack(before))
end
local function fits(from, room, prev) return from + floor(window * max(0, 1 - (room + 1) / prev)) + 1 end
local function refuse(room, count, prev)
  local reset = start + window
  if cost > limit then reset = -1
  elseif limit - count - cost >= 0 and prev > 0 then reset = fits(start, limit - count - cost, prev)
  elseif sliding and count > 0 then reset = fits(reset, limit - cost, count) end
  return {max(0, room - count), reset}
end
for question = 1, #keys / step do
  local key, prev, room = keys[(question - 1) * step + 1], 0, limit
  if before[question] then
    prev = tonumber(before[question]) or 0
    room = limit - floor(weight * prev)
  end
  local sum, reply
  if cost <= room then sum = cost == 1 and pcall('INCR', key) or pcall('INCRBY', key, n) end
  if type(sum) == 'number' then
    -- The key is new, or an old client left a negative count without expiry.
    if sum <= cost then call('PEXPIRE', key, ttl) end
    if sum <= room then reply = room - sum
    else
      call('DECRBY', key, n)
      reply = refuse(room, sum - cost, prev)
    end
  else
    local count = tonumber(pcall('GET', key)) or 0
    if cost > room - count then reply = refuse(room, count, prev) else reply = sum.err end
  end
  replies[question] = reply
end
return replies

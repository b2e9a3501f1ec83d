-- Fixed or sliding windows that take their cost or nothing: limit.lua's decision for the common
-- case, for many questions in one call.
-- KEYS for each question: this window, the one before (sliding only)
-- ARGV 1 limit 2 window ms, then for each question: now ms, cost above 0
-- Reply for each question: what is left after it was taken, or {what is left, retry at ms, -1 for
--       never} when it was not, or the text of an error, which is this question's alone
-- TTL: fixed window, sliding 2*window+1000.
local call, pcall, floor, max, tonumber = redis.call, redis.pcall, math.floor, math.max, tonumber
local keys, argv = KEYS, ARGV
local limit, window = tonumber(argv[1]), tonumber(argv[2])
local questions = (#argv - 2) / 2
local sliding = #keys > questions
local ttl = sliding and 2 * window + 1000 or window
local known, counts, replies = call('MGET', unpack(keys)), {}, {}
for i = 1, #keys do if known[i] then counts[keys[i]] = tonumber(known[i]) end end
local take = function(key, count, cost)
  -- A key of another type looks absent, and stays as it is.
  local set = not count and pcall('SET', key, cost, 'PX', ttl, 'NX')
  if set then return set.err end
  local done = pcall('INCRBY', key, cost)
  if type(done) == 'table' then return done.err end
  -- An old client may have left a negative count without expiry.
  if not count or count <= 0 then call('PEXPIRE', key, ttl) end
end
local fits = function(from, room, weight) return from + floor(window * max(0, 1 - (room + 1) / weight)) + 1 end
local now, start, cost
for i = 1, questions do
  local at, n = argv[2 * i + 1], argv[2 * i + 2]
  -- Most are asked in the same millisecond, for the same.
  if at ~= argv[2 * i - 1] or i == 1 then now = tonumber(at); start = now - now % window end
  if n ~= argv[2 * i] or i == 1 then cost = tonumber(n) end
  local key, previous = keys[i], nil
  if sliding then key, previous = keys[2 * i - 1], keys[2 * i] end
  local count, prev = counts[key], sliding and counts[previous] or 0
  local cur = count or 0
  local left = limit - cur - (prev == 0 and 0 or floor((1 - (now - start) / window) * prev))
  if cost <= left then
    local failed = take(key, count, n)
    if not failed then counts[key] = cur + cost end
    replies[i] = failed or left - cost
  else
    local reset = start + window
    if cost > limit then reset = -1
    elseif limit - cur - cost >= 0 and prev > 0 then reset = fits(start, limit - cur - cost, prev)
    elseif sliding and cur > 0 then reset = fits(reset, limit - cost, cur) end
    replies[i] = {max(0, left), reset}
  end
end
return replies

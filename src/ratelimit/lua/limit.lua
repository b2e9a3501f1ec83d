-- Decides over several limits at once: every one takes the same, or none does. For many questions
-- in one call, each for itself.
-- KEYS for each question: for each limit its counters (client clock: F 1, S 2; server clock: a base;
--      T G C always 1), then its override keys; at the end the deny and allow sets
-- ARGV 1 take | peek  2 members of a question to look up in the deny set, 0 none  3 how many of them, the
--      first ones, also in the allow set  4 limits;
--      for each limit: kind, limit, window ms (C: end of the period), rate (C: its start), override keys;
--      for each question: now ms, 0 takes the server's clock; cost, negative gives back;
--      what to take at most instead; the members
-- Reply for each question: {verdict (1 yes, 0 no, 2 denied, 3 allowed by list), taken or retry at ms,
--       now ms, for each limit: limit, remaining, reset ms, retry at ms} or {2 | 3, member index, now}
--       or {4, now} when the server's time is in another period,
--       or the text of an error, which is this question's alone
-- TTL: F window, S 2*window+1000, T and G until full again, C until the period ends.
local take, members, limits = ARGV[1] == 'take', tonumber(ARGV[2]), tonumber(ARGV[4])
local allowing, first, own = tonumber(ARGV[3]), 5 + 5 * limits, 3 + members
local questions = (#ARGV + 1 - first) / own
local add = function(key, amount, ttl)
  call('INCRBY', key, int(amount))
  if call('PTTL', key) < 0 then call('PEXPIRE', key, int(max(1, ttl))) end
end
-- A list or dynamic limit that another program replaced by something else is passed over.
local read = function(...)
  local reply = redis.pcall(...)
  local err = type(reply) == 'table' and reply.err
  if not err then return reply end
  return not string.find(err, 'WRONGTYPE', 1, true) and call(...)
end
-- The first of n members that is in the set, beginning after so many.
local listed = function(set, at, n, after)
  if n == 0 then return end
  local hits = read('SMISMEMBER', set, unpack(ARGV, at, at + n - 1)) or {}
  for k = after, after + n - 1 do local i = k % n + 1; if hits[i] == 1 then return i end end
end
local decide = function(from, to, at)
  local now, cost, most = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local server = now == 0
  if server then local t = call('TIME'); now = t[1] * 1000 + floor(t[2] / 1000) end
  if members > 0 then
    local allowed = listed(KEYS[to], at + 3, allowing, 0)
    if allowed then return {3, allowed, now} end
    local denied = listed(KEYS[to - 1], at + 3, members, allowing)
    if denied then return {2, denied, now} end
  end
  local next_key = function() from = from + 1; return KEYS[from] end
  local yes, retry, room, states, broken = 1, 0, most, {}, false
  local count = function(key)
    local text = call('GET', key)
    local n = number(text) or 0
    if text and (text ~= int(n) or n >= 2^53) then broken = true end
    return n
  end
  for a = 5, first - 1, 5 do
    local kind, limit, window, rate = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
    local key, index = next_key(), floor(now / window)
    if server and kind == 'C' and (now < rate or now >= window) then return {4, now} end
    local previous = key
    if server and (kind == 'F' or kind == 'S') then
      key, previous = key .. ':' .. int(index), key .. ':' .. int(index - 1)
    elseif kind == 'S' then previous = next_key() end
    for _ = 1, tonumber(ARGV[a + 4]) do
      local override = number(read('GET', next_key()))
      if override and override >= 0 and override < 2^53 then limit = floor(override) end
    end
    -- What is left, when it resets, when the cost fits, what can be given back, how to take; taking
    -- returns when it then resets, if that is another time.
    local left, reset, fits, back, write
    if kind == 'F' or kind == 'C' then
      reset = kind == 'F' and (index + 1) * window or window
      left, reset, fits, back = fixed(limit, count(key), reset)
      write = function(n) add(key, n, kind == 'F' and window or window - now) end
    elseif kind == 'S' then
      local start, cur, prev = index * window, count(key), number(call('MGET', previous)[1]) or 0
      left, reset, back = limit - cur - sliding_share(window, start, now, prev), start + window, max(cur, 0)
      fits = sliding_fits(limit, window, start, cur, prev, cost)
      write = function(n) add(key, n, 2 * window + 1000) end
    elseif kind == 'T' then
      left, reset, fits, back, write = bucket(key, limit, window, rate, now, cost)
    else
      if limit == 0 then limit, rate = 1, 0 end
      left, reset, fits, back, write = gcra(key, limit, window, rate, now, cost)
    end
    local full = kind == 'G' and rate or limit
    if cost >= 0 and cost > left then
      yes = 0
      if cost > full then fits = -1 end
      if retry >= 0 then retry = fits < 0 and -1 or max(retry, fits) end
    else fits = 0 end
    room = min(room, left)
    states[#states + 1] = {full, left, reset, fits, back, write}
  end
  local taken = take and yes == 1 and max(cost, room) or 0
  -- What INCRBY would refuse fails before another limit has taken.
  if broken and taken ~= 0 then error({err = 'ERR value is not an integer or out of range'}) end
  local reply = {yes, yes == 1 and taken or retry, now}
  for _, state in ipairs(states) do
    local n = taken < 0 and -min(-taken, state[5]) or taken
    local reset = n ~= 0 and state[6](n) or state[3]
    reply[#reply + 1] = state[1]
    reply[#reply + 1] = max(0, state[2] - n)
    reply[#reply + 1] = reset
    reply[#reply + 1] = state[4]
  end
  return reply
end
local replies, keys = {}, #KEYS / questions
for q = 1, questions do
  local ok, reply = pcall(decide, (q - 1) * keys, q * keys, first + (q - 1) * own)
  replies[q] = ok and reply or type(reply) == 'table' and reply.err or tostring(reply)
end
return replies

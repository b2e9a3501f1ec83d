-- Decides over several limits at once, for each request: every limit takes the same, or none does.
-- KEYS for each request: for each limit its counters (client clock: F 1, S 2; server clock: a base;
--      T G C always 1), then its override keys; at the end the deny and allow sets
-- ARGV 1 take | peek  2 members of a request to look up in the deny set, 0 none  3 how many of them, the
--      first ones, also in the allow set  4 limits;
--      for each limit: kind, limit, window ms (C: end of the period), rate (C: its start), override keys;
--      for each request: now ms, 0 takes the server's clock; cost, negative gives back;
--      what to take at most instead; the members
-- Reply for each request: {verdict (1 yes, 0 no, 2 denied, 3 allowed by list), taken or retry at ms,
--       now ms, for each limit: limit, remaining, reset ms, retry at ms} or {2 | 3, member index, now}
--       or {4, now} when the server's time is in another period,
--       or the text of an error, which is this request's alone
-- TTL: F window, S 2*window+1000, T and G until full again, C until the period ends.
local take, members, limits = ARGV[1] == 'take', tonumber(ARGV[2]), tonumber(ARGV[4])
local allowing, first, own = tonumber(ARGV[3]), 5 + 5 * limits, 3 + members
local requests = (#ARGV + 1 - first) / own
local function decide(from, to, at)
  local now, cost, most = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local server = now == 0
  if server then local t = call('TIME'); now = t[1] * 1000 + floor(t[2] / 1000) end
  if members > 0 then
    local allowed = listed(KEYS[to], at + 3, allowing, 0)
    if allowed then return {3, allowed, now} end
    local denied = listed(KEYS[to - 1], at + 3, members, allowing)
    if denied then return {2, denied, now} end
  end
  local function next_key() from = from + 1; return KEYS[from] end
  local yes, retry, room, states, broken = 1, 0, most, {}, false
  for a = 5, first - 1, 5 do
    local limit, window, rate, overrides = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
    local state = judge(ARGV[a], limit, window, rate, overrides, next_key, now, server, cost)
    if not state then return {4, now} end
    local full, left, fits = state[1], state[2], 0
    if cost >= 0 and cost > left then
      yes, fits = 0, cost > full and -1 or state[4]
      if retry >= 0 then retry = fits < 0 and -1 or max(retry, fits) end
    end
    state[4], room, broken = fits, min(room, left), broken or state[7]
    states[#states + 1] = state
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
local replies, keys = {}, #KEYS / requests
for q = 1, requests do
  local ok, reply = pcall(decide, (q - 1) * keys, q * keys, first + (q - 1) * own)
  replies[q] = ok and reply or type(reply) == 'table' and reply.err or tostring(reply)
end
return replies

-- Decides over several limits at once: every one takes the cost, or none does.
-- KEYS for each limit its counters (client clock: F 1, S 2; server clock: a base; T G C always 1),
--      then its override keys; at the end the deny and allow sets.
-- ARGV 1 now ms, 0 takes the server's clock  2 cost, negative gives back  3 take | peek
--      4 members to look up in the deny and allow sets, 0 none; the members;
--      then for each limit: kind, limit, window ms (C: end of the period), rate, override keys
-- Reply {verdict (1 yes, 0 no, 2 denied, 3 allowed by list), retry at ms, now ms,
--        for each limit: limit, remaining, reset ms, retry at ms} or {2 | 3, member index, now}
-- TTL: F window, S 2*window+1000, T and G until full again, C until the period ends.
local call, floor, max, min = redis.call, math.floor, math.max, math.min
local now, cost, take = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == 'take'
local server = now == 0
if server then local t = call('TIME'); now = t[1] * 1000 + floor(t[2] / 1000) end
local members = tonumber(ARGV[4])
if members > 0 then
  local found = function(set)
    local hits = call('SMISMEMBER', set, unpack(ARGV, 5, 4 + members))
    for i = 1, members do if hits[i] == 1 then return i end end
  end
  local allowed = found(KEYS[#KEYS])
  if allowed then return {3, allowed, now} end
  local denied = found(KEYS[#KEYS - 1])
  if denied then return {2, denied, now} end
end
local int = function(n) return string.format('%.0f', n) end
local used_keys, yes, retry, out, writes = 0, 1, 0, {}, {}
local next_key = function() used_keys = used_keys + 1; return KEYS[used_keys] end
local later = function(f) writes[#writes + 1] = f end
local add = function(key, amount, ttl)
  call('INCRBY', key, int(amount))
  if call('PTTL', key) < 0 then call('PEXPIRE', key, int(max(1, ttl))) end
end
for a = 5 + members, #ARGV, 5 do
  local kind, limit, window, rate = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local key, index = next_key(), floor(now / window)
  local previous = key
  if server and (kind == 'F' or kind == 'S') then
    key, previous = key .. ':' .. int(index), key .. ':' .. int(index - 1)
  elseif kind == 'S' then previous = next_key() end
  for _ = 1, tonumber(ARGV[a + 4]) do
    local override = tonumber(call('GET', next_key()))
    if override and override >= 0 then limit = floor(override) end
  end
  local left, reset, at, back
  if kind == 'F' or kind == 'C' then
    local used = tonumber(call('GET', key)) or 0
    left, reset = limit - used, kind == 'F' and (index + 1) * window or window
    at, back = reset, max(used, 0)
    later(function(n) add(key, n, kind == 'F' and window or window - now) end)
  elseif kind == 'S' then
    local cur, prev = tonumber(call('GET', key)) or 0, tonumber(call('GET', previous)) or 0
    local start = index * window
    left, reset, back = limit - cur - floor((1 - (now - start) / window) * prev), start + window, max(cur, 0)
    local fits = function(from, room, weight) return from + floor(window * max(0, 1 - (room + 1) / weight)) + 1 end
    if limit - cur - cost >= 0 and prev > 0 then at = fits(start, limit - cur - cost, prev)
    elseif cur > 0 then at = fits(reset, limit - cost, cur)
    else at = reset end
    later(function(n) add(key, n, 2 * window + 1000) end)
  elseif kind == 'T' then
    local bucket = call('HMGET', key, 'refilledAt', 'tokens')
    local filled, tokens = tonumber(bucket[1]), tonumber(bucket[2])
    if not filled or not tokens or filled > now + window then filled, tokens = now, tokens and min(tokens, limit) or limit end
    local steps = floor((now - filled) / window)
    if steps > 0 then tokens, filled = min(limit, tokens + steps * rate), filled + steps * window end
    left, reset, back = floor(tokens), filled + window, max(0, floor(limit - tokens))
    at = filled + max(1, math.ceil((cost - tokens) / rate)) * window
    later(function(n)
      local rest = tokens - n
      call('HSET', key, 'refilledAt', int(filled), 'tokens', string.format('%.17g', rest))
      call('PEXPIRE', key, int(max(1, math.ceil((limit - rest) / rate)) * window))
    end)
  else
    local step = window / limit
    local tat = max(now, tonumber(call('GET', key)) or 0)
    tat = min(tat, now + rate * step)
    left, reset = floor((now + rate * step - tat) / step + 1e-6), math.ceil(tat)
    at, back = math.ceil(tat + (cost - rate) * step), floor((tat - now) / step + 1e-6)
    later(function(n)
      local next = max(now, tat + n * step)
      if next > now then call('SET', key, string.format('%.3f', next), 'PX', int(math.ceil(next - now))) else call('DEL', key) end
    end)
  end
  local most = kind == 'G' and rate or limit
  if max(cost, take and 0 or 1) > left and cost >= 0 then
    yes = 0
    if cost > most then at = -1 end
    if retry >= 0 then retry = at < 0 and -1 or max(retry, at) end
  else at = 0 end
  writes[#writes] = {writes[#writes], cost < 0 and -min(-cost, back) or cost}
  local shown = (yes == 1 and take) and left - writes[#writes][2] or left
  for _, v in ipairs({most, shown, reset, at, left}) do out[#out + 1] = v end
end
if yes == 1 and take then for _, w in ipairs(writes) do if w[2] ~= 0 then w[1](w[2]) end end end
-- A later limit's refusal means that earlier ones did not take either.
local reply = {yes, retry, now}
for i = 1, #out, 5 do
  reply[#reply + 1] = out[i]
  reply[#reply + 1] = max(0, yes == 1 and out[i + 1] or out[i + 4])
  reply[#reply + 1] = out[i + 2]
  reply[#reply + 1] = out[i + 3]
end
return reply

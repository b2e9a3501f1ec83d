-- Hands work to one consumer: due retries, then what stalled elsewhere, then new entries. Poison goes to the dead letters,
-- and so does an entry that no work can be read from.
-- KEYS and ARGV: as `Receive` names them
-- Reply {lost, poisoned, unreadable, {{id, event, position, history key, deliveries, tries}, …}}; the work stream has no TTL.
local t = redis.call('TIME')
local now, count = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000), tonumber(wanted)
own('XLEN', work_key); own('ZCARD', retry_key); own('HLEN', tries_key)
if redis.call('EXISTS', work_key) == 0 then return {0, 0, 0, {}} end
redis.pcall('XGROUP', 'CREATE', work_key, subscriber, '0')
local out, lost, poisoned, unreadable = {}, 0, 0, 0
local function drop(id)
  redis.call('XACK', work_key, subscriber, id); redis.call('XDEL', work_key, id)
  redis.call('ZREM', retry_key, id); redis.call('HDEL', tries_key, id)
end
local function bury(id, f, why, times, tries)
  own('XADD', dead_key, 'MAXLEN', '~', most_dead, '*', 'd', f.d or '', 'o', f.o or '', 'h', f.h or '', 'k', f.k or '',
    's', subscriber, 'r', why, 'n', times, 't', tries)
  own('HINCRBY', failures_key, f.k or why, 1); redis.call('PEXPIRE', failures_key, failures_ttl_ms)
  drop(id)
end
local function hand(id, f, times, tries)
  if f.d and f.o and f.h and f.k then out[#out + 1] = {id, f.d, f.o, f.h, times, tries}; return end
  bury(id, f, 'unreadable', times, tries); unreadable = unreadable + 1
end
local function take(id, times, idle)
  local e = redis.call('XRANGE', work_key, id, id)[1]
  if not e then lost = lost + 1; drop(id); return end
  local f, tries = fields(e), redis.call('HGET', tries_key, id) or ''
  if times >= tonumber(max_deliveries) then bury(id, f, 'poison', times, tries); poisoned = poisoned + 1; return end
  if #redis.call('XCLAIM', work_key, subscriber, consumer, idle, id) > 0 then
    redis.call('ZREM', retry_key, id)
    hand(id, f, times + 1, tries)
  end
end
-- A few more than are wanted: what is no work of this stream leaves on the way.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', retry_key, '-inf', now, 'LIMIT', 0, count + 100)) do
  if #out >= count then break end
  local p = redis.pcall('XPENDING', work_key, subscriber, id, id, 1)
  if not failed(p) and p[1] then take(id, p[1][4], 0) else redis.call('ZREM', retry_key, id) end
end
if #out < count then
  for _, p in ipairs(redis.call('XPENDING', work_key, subscriber, 'IDLE', lease_ms, '-', '+', 1000)) do
    if #out >= count then break end
    if not redis.call('ZSCORE', retry_key, p[1]) then take(p[1], p[4], lease_ms) end
  end
end
if #out < count then
  local fresh = redis.call('XREADGROUP', 'GROUP', subscriber, consumer, 'COUNT', count - #out, 'STREAMS', work_key, '>')
  for _, e in ipairs(fresh and fresh[1] and fresh[1][2] or {}) do hand(e[1], fields(e), 1, '') end
end
return {lost, poisoned, unreadable, out}

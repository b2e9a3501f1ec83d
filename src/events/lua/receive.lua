-- Hands work to one consumer: due retries, then what stalled elsewhere, then new entries. Poison goes to the dead letters,
-- and so does an entry that no work can be read from.
-- KEYS 1 work stream 2 retry times 3 tries 4 dead letters 5 failures of the hour
-- ARGV 1 group 2 consumer 3 lease ms 4 count 5 most deliveries 6 dead letters' most entries 7 stats ttl ms
-- Reply {lost, poisoned, unreadable, {{id, event, position, history key, deliveries, tries}, …}}; the work stream has no TTL.
local t = redis.call('TIME')
local now, count = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000), tonumber(ARGV[4])
own('XLEN', KEYS[1]); own('ZCARD', KEYS[2]); own('HLEN', KEYS[3])
if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0, 0, {}} end
redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0')
local out, lost, poisoned, unreadable = {}, 0, 0, 0
local function drop(id)
  redis.call('XACK', KEYS[1], ARGV[1], id); redis.call('XDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id); redis.call('HDEL', KEYS[3], id)
end
local function bury(id, f, why, times, tries)
  own('XADD', KEYS[4], 'MAXLEN', '~', ARGV[6], '*', 'd', f.d or '', 'o', f.o or '', 'h', f.h or '', 'k', f.k or '',
    's', ARGV[1], 'r', why, 'n', times, 't', tries)
  own('HINCRBY', KEYS[5], f.k or why, 1); redis.call('PEXPIRE', KEYS[5], ARGV[7])
  drop(id)
end
local function hand(id, f, times, tries)
  if f.d and f.o and f.h and f.k then out[#out + 1] = {id, f.d, f.o, f.h, times, tries}; return end
  bury(id, f, 'unreadable', times, tries); unreadable = unreadable + 1
end
local function take(id, times, idle)
  local e = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not e then lost = lost + 1; drop(id); return end
  local f, tries = fields(e), redis.call('HGET', KEYS[3], id) or ''
  if times >= tonumber(ARGV[5]) then bury(id, f, 'poison', times, tries); poisoned = poisoned + 1; return end
  if #redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], idle, id) > 0 then
    redis.call('ZREM', KEYS[2], id)
    hand(id, f, times + 1, tries)
  end
end
-- A few more than are wanted: what is no work of this stream leaves on the way.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, count + 100)) do
  if #out >= count then break end
  local p = redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  if not failed(p) and p[1] then take(id, p[1][4], 0) else redis.call('ZREM', KEYS[2], id) end
end
if #out < count then
  for _, p in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', 1000)) do
    if #out >= count then break end
    if not redis.call('ZSCORE', KEYS[2], p[1]) then take(p[1], p[4], ARGV[3]) end
  end
end
if #out < count then
  local fresh = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count - #out, 'STREAMS', KEYS[1], '>')
  for _, e in ipairs(fresh and fresh[1] and fresh[1][2] or {}) do hand(e[1], fields(e), 1, '') end
end
return {lost, poisoned, unreadable, out}

-- Settles one piece of work: done, again later, or dead.
-- KEYS 1 work stream 2 retry times 3 tries 4 dead letters 5 failures of the hour
-- ARGV 1 group 2 consumer 3 id 4 done | retry | dead 5 delay ms 6 reason 7 error 8 dead letters' most entries 9 stats ttl ms
-- Reply 1, or 0 when the consumer holds it no longer (another one has taken it over).
local p = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
p = not failed(p) and p[1]
if not p or p[2] ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
local now, e = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000), redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
own('ZCARD', KEYS[2])
if ARGV[4] ~= 'done' then
  local tries = own('HGET', KEYS[3], ARGV[3]) or ''
  tries = string.sub(tries .. string.format('%.0f', now) .. ' ' .. ARGV[7] .. '\n', -2048)
  redis.call('HSET', KEYS[3], ARGV[3], tries)
  if ARGV[4] == 'retry' then
    redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[5])), ARGV[3]); return 1
  end
  if e then
    local f = fields(e)
    own('XADD', KEYS[4], 'MAXLEN', '~', ARGV[8], '*', 'd', f.d or '', 'o', f.o or '', 'h', f.h or '', 'k', f.k or '',
      's', ARGV[1], 'r', ARGV[6], 'n', p[4], 't', tries)
    own('HINCRBY', KEYS[5], f.k or ARGV[6], 1); redis.call('PEXPIRE', KEYS[5], ARGV[9])
  end
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3]); redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[3]); own('HDEL', KEYS[3], ARGV[3])
return 1

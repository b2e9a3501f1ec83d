-- Settles one piece of work: done, again later, or dead.
-- KEYS and ARGV: as `SettleWork` names them; `verb` is done | retry | dead
-- Reply 1, or 0 when the consumer holds it no longer (another one has taken it over).
local p = redis.pcall('XPENDING', work_key, subscriber, id, id, 1)
p = not failed(p) and p[1]
if not p or p[2] ~= consumer then return 0 end
local t = redis.call('TIME')
local now, e = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000), redis.call('XRANGE', work_key, id, id)[1]
own('ZCARD', retry_key)
if verb ~= 'done' then
  local tries = own('HGET', tries_key, id) or ''
  tries = string.sub(tries .. string.format('%.0f', now) .. ' ' .. problem .. '\n', -2048)
  redis.call('HSET', tries_key, id, tries)
  if verb == 'retry' then
    redis.call('ZADD', retry_key, string.format('%.0f', now + tonumber(delay_ms)), id); return 1
  end
  if e then
    local f = fields(e)
    own('XADD', dead_key, 'MAXLEN', '~', most_dead, '*', 'd', f.d or '', 'o', f.o or '', 'h', f.h or '', 'k', f.k or '',
      's', subscriber, 'r', reason, 'n', p[4], 't', tries)
    own('HINCRBY', failures_key, f.k or reason, 1); redis.call('PEXPIRE', failures_key, failures_ttl_ms)
  end
end
redis.call('XACK', work_key, subscriber, id); redis.call('XDEL', work_key, id)
redis.call('ZREM', retry_key, id); own('HDEL', tries_key, id)
return 1

-- Begins a history that nothing was published to, so that a reader has a place in it.
-- KEYS 1 history 2 meta   ARGV 1 epoch 2 meta's TTL ms
-- Reply {epoch, last offset, its tag or ''} of the history that there is, or is now.
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'offset', 'tag')
if meta[1] then return {meta[1], tonumber(meta[2]) or 0, meta[3] or ''} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'offset', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {ARGV[1], 0, ''}

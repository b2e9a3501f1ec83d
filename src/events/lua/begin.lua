-- Begins a history that nothing was published to, so that a reader has a place in it.
-- KEYS 1 history 2 meta   ARGV 1 epoch 2 meta's TTL ms
-- Reply {epoch, last offset, its tag or ''} of the history that there is, or is now.
local meta = own('HMGET', KEYS[2], 'epoch', 'offset', 'tag')
local epoch, offset = place(meta)
if epoch then return {epoch, offset, tag_of(meta[3])} end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'offset', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {ARGV[1], 0, ''}

-- Begins a history that nothing was published to, so that a reader has a place in it.
-- KEYS and ARGV: as `Begin` names them
-- Reply {epoch, last offset, its tag or ''} of the history that there is, or is now.
local meta = own('HMGET', meta_key, 'epoch', 'offset', 'tag')
local epoch, offset = place(meta)
if epoch then return {epoch, offset, tag_of(meta[3])} end
redis.call('DEL', history_key, meta_key)
redis.call('HSET', meta_key, 'epoch', new_epoch, 'offset', 0)
redis.call('PEXPIRE', meta_key, meta_ttl_ms)
return {new_epoch, 0, ''}

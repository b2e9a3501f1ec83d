-- Reads one page of the history together with what proves that nothing is missing.
-- KEYS 1 history 2 meta
-- ARGV 1 offset to read after 2 most entries
-- Reply {epoch or '', last offset, first kept offset or 0, entries as XRANGE gives them}
-- TTL: none, only reads.
local call = redis.call
local meta = call('HMGET', KEYS[2], 'epoch', 'offset')
if not meta[1] then return {'', 0, 0, {}} end
local first = call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local from = first and tonumber(string.match(first[1], '^(%d+)')) or 0
local entries = call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])
return {meta[1], tonumber(meta[2]) or 0, from, entries}

-- Replaces a JSON session if it is still what was read; never creates one.
-- KEYS 1 session   ARGV 1 text that was read 2 new text 3 TTL ms
-- Reply: OK | GONE | CONFLICT
-- TTL: set anew.
local text=redis.call('GET',KEYS[1])
if not text then return 'GONE' end
if text~=ARGV[1] then return 'CONFLICT' end
redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3])
return 'OK'

-- Replaces a JSON session if it is still what was read; never creates one.
-- KEYS and ARGV: as `Save` names them
-- Reply: OK | GONE | CONFLICT
-- TTL: set anew.
local text=redis.call('GET',session_key)
if not text then return 'GONE' end
if text~=seen then return 'CONFLICT' end
redis.call('SET',session_key,new_text,'PX',ttl_ms)
return 'OK'

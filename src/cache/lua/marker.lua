-- Invalidates: gives a marker a new value.
-- KEYS and ARGV: as `Invalidate` names them; `how` is remove | expire; at `rest_keys` the entry of a single key, or nothing
-- Reply 1.
-- TTL: the marker outlives every value that was loaded before.
local none = '............'
local old = redis.pcall('GET', marker_key)
local removed, expired = none, none
if type(old) == 'table' then
  removed = ''
elseif old then
  removed, expired = string.sub(old, 1, 12), string.sub(old, 13, 24)
end
-- What is no marker has voided everything; a removal keeps it void.
if how == 'remove' or #removed + #expired ~= 24 then
  removed, expired = new_value, none
else
  expired = new_value
end
redis.call('SET', marker_key, removed .. expired, 'PX', ttl_ms)
if how == 'remove' and KEYS[rest_keys] then
  redis.call('DEL', KEYS[rest_keys])
end
-- Those who hear it read anew; nothing relies on it.
if hint_channel ~= '' then
  redis.pcall('PUBLISH', hint_channel, hint)
end
return 1

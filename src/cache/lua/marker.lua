-- Invalidates: gives a marker a new value.
-- KEYS 1 marker 2 entry of a single key, or nothing
-- ARGV 1 remove | expire 2 new unique value 3 ttl ms 4 channel of hints, or nothing 5 the marker's name in them
-- Reply 1.
-- TTL: the marker outlives every value that was loaded before.
local none = '............'
local old = redis.pcall('GET', KEYS[1])
local removed, expired = none, none
if type(old) == 'table' then
  removed = ''
elseif old then
  removed, expired = string.sub(old, 1, 12), string.sub(old, 13, 24)
end
-- What is no marker has voided everything; a removal keeps it void.
if ARGV[1] == 'remove' or #removed + #expired ~= 24 then
  removed, expired = ARGV[2], none
else
  expired = ARGV[2]
end
redis.call('SET', KEYS[1], removed .. expired, 'PX', ARGV[3])
if ARGV[1] == 'remove' and KEYS[2] then
  redis.call('DEL', KEYS[2])
end
-- Those who hear it read anew; nothing relies on it.
if ARGV[4] ~= '' then
  redis.pcall('PUBLISH', ARGV[4], ARGV[5])
end
return 1

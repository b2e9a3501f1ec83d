-- Stores a value unless it was invalidated since its markers were read.
-- KEYS 1 entry 2 marker of the key, then other markers of this slot
-- ARGV 1 load | put 2 entry's ttl ms 3 marker's ttl ms 4 new unique value 5 create missing markers: 1 | 0
--      6 head 7 markers seen, those of KEYS first, 24 bytes each 8 payload
-- Reply 1, 0 when the value is void and was not stored, 2 when it has expired already.
-- TTL: entry ARGV 2; markers ARGV 3 when they are new or would end before the entry.
-- A load stores what it saw. A put voids running loads by the key's own marker and sees what is there now.
local none = string.rep('.', 24)
local put, seen, kept = ARGV[1] == 'put', ARGV[7], {}
local expired = false
-- What is no marker is as if lost: the next put makes a new one.
local function marker(key)
  local now = redis.pcall('GET', key)
  if not now then return nil, false end
  if type(now) == 'table' or #now ~= 24 then return nil, true end
  return now, false
end
for i = 2, #KEYS do
  local at = (i - 2) * 24
  local before = string.sub(seen, at + 1, at + 24)
  local now, foreign = marker(KEYS[i])
  if put and i == 2 then
    now = ARGV[4] .. '............'
    redis.call('SET', KEYS[i], now, 'PX', ARGV[3])
  elseif put and not now and (foreign or ARGV[5] == '1') then
    now = ARGV[4] .. '............'
    redis.call('SET', KEYS[i], now, 'PX', ARGV[3])
  end
  -- A marker that ends before the value would void it.
  if now and redis.call('PTTL', KEYS[i]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  end
  now = now or none
  if not put and now ~= before then
    if string.sub(now, 1, 12) ~= string.sub(before, 1, 12) then return 0 end
    expired = true
  end
  kept[#kept + 1] = put and now or before
end
local rest = string.sub(seen, (#KEYS - 1) * 24 + 1)
local entry = ARGV[6] .. table.concat(kept) .. rest .. ARGV[8]
-- A value that has expired already must not take the place of another.
if expired then
  redis.call('SET', KEYS[1], entry, 'PX', ARGV[2], 'NX')
  return 2
end
redis.call('SET', KEYS[1], entry, 'PX', ARGV[2])
return 1

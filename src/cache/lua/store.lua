-- Stores a value unless it was invalidated since its markers were read.
-- KEYS and ARGV: as `Store` names them; `verb` is load | put, `creates` 1 | 0; from `rest_keys` on the marker of the key, then
--      other markers of this slot
-- Reply 1, 0 when the value is void and was not stored, 2 when it has expired already.
-- TTL: entry `ttl_ms`; markers `marker_ttl_ms` when they are new or would end before the entry.
-- A load stores what it saw. A put voids running loads by the key's own marker and sees what is there now.
local none = string.rep('.', 24)
local put, kept = verb == 'put', {}
local expired = false
-- What is no marker is as if lost: the next put makes a new one.
local function marker(key)
  local now = redis.pcall('GET', key)
  if not now then return nil, false end
  if type(now) == 'table' or #now ~= 24 then return nil, true end
  return now, false
end
for i = rest_keys, #KEYS do
  local at = (i - rest_keys) * 24
  local before = string.sub(seen, at + 1, at + 24)
  local now, foreign = marker(KEYS[i])
  if put and i == rest_keys then
    now = new_value .. '............'
    redis.call('SET', KEYS[i], now, 'PX', marker_ttl_ms)
  elseif put and not now and (foreign or creates == '1') then
    now = new_value .. '............'
    redis.call('SET', KEYS[i], now, 'PX', marker_ttl_ms)
  end
  -- A marker that ends before the value would void it.
  if now and redis.call('PTTL', KEYS[i]) < tonumber(ttl_ms) then
    redis.call('PEXPIRE', KEYS[i], marker_ttl_ms)
  end
  now = now or none
  if not put and now ~= before then
    if string.sub(now, 1, 12) ~= string.sub(before, 1, 12) then return 0 end
    expired = true
  end
  kept[#kept + 1] = put and now or before
end
local far = string.sub(seen, (#KEYS - rest_keys + 1) * 24 + 1)
local entry = head .. table.concat(kept) .. far .. payload
-- A value that has expired already must not take the place of another.
if expired then
  redis.call('SET', entry_key, entry, 'PX', ttl_ms, 'NX')
  return 2
end
redis.call('SET', entry_key, entry, 'PX', ttl_ms)
return 1

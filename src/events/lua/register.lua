-- Registers, changes or ends a subscriber of work; every change gets a new version, field '#'.
-- KEYS and ARGV: as `Register` names them
-- Reply OK. No TTL: a registration holds until it is ended.
local function change()
  local known = redis.call('HGET', subscribers_key, '#')
  local version = whole(known)
  -- After one that is no number comes one that no process knows.
  if known and not version then version = tonumber(redis.call('TIME')[1]) end
  redis.call('HSET', subscribers_key, '#', string.format('%.0f', (version or 0) + 1))
end
local before = own('HGET', subscribers_key, name)
if types == '' then
  if redis.call('HDEL', subscribers_key, name) == 1 then change() end
  return redis.status_reply('OK')
end
if before ~= types then
  redis.call('HSET', subscribers_key, name, types)
  change()
end
own('XLEN', work_key)
if redis.call('EXISTS', work_key) == 0 then redis.call('XGROUP', 'CREATE', work_key, name, '0', 'MKSTREAM') end
return redis.status_reply('OK')

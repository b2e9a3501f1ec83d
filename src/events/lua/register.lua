-- Registers, changes or ends a subscriber of work; every change gets a new version, field '#'.
-- KEYS 1 subscribers 2 its work stream   ARGV 1 name 2 types by comma, or '' to end it
-- Reply OK. No TTL: a registration holds until it is ended.
local function change()
  local known = redis.call('HGET', KEYS[1], '#')
  local version = whole(known)
  -- After one that is no number comes one that no process knows.
  if known and not version then version = tonumber(redis.call('TIME')[1]) end
  redis.call('HSET', KEYS[1], '#', string.format('%.0f', (version or 0) + 1))
end
local before = own('HGET', KEYS[1], ARGV[1])
if ARGV[2] == '' then
  if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then change() end
  return redis.status_reply('OK')
end
if before ~= ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  change()
end
own('XLEN', KEYS[2])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('XGROUP', 'CREATE', KEYS[2], ARGV[1], '0', 'MKSTREAM') end
return redis.status_reply('OK')

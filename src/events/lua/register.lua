-- Registers, changes or ends a subscriber of work; every change gets a new version, field '#'.
-- KEYS 1 subscribers 2 its work stream   ARGV 1 name 2 types by comma, or '' to end it
-- Reply OK. No TTL: a registration holds until it is ended.
if ARGV[2] == '' then
  if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[1], '#', 1) end
  return redis.status_reply('OK')
end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('HINCRBY', KEYS[1], '#', 1)
end
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('XGROUP', 'CREATE', KEYS[2], ARGV[1], '0', 'MKSTREAM') end
return redis.status_reply('OK')

-- Publishes events: each one is checked for a repeat, numbered, stored, counted and announced.
-- KEYS 1 history 2 meta 3 hourly counts, then the dedup key of each event (or the history again)
-- ARGV 1 most entries kept 2 history TTL ms 3 dedup TTL ms 4 epoch for a new history 5 channel prefix
--      6 number of events, then for each: type, event, fingerprint (empty: no dedup)
-- Reply {epoch, then for each: status (1 new, 2 repeat, 3 key used for something else), offset}
-- TTL: history and meta as given (meta 30 days more), dedup as given, counts 8 days.
local call = redis.call
local epoch = call('HGET', KEYS[2], 'epoch')
if not epoch then
  epoch = ARGV[4]
  call('DEL', KEYS[1])
  call('HSET', KEYS[2], 'epoch', epoch, 'offset', 0)
end
local reply = {epoch}
for i = 1, tonumber(ARGV[6]) do
  local kind, event, print = ARGV[4 + i * 3], ARGV[5 + i * 3], ARGV[6 + i * 3]
  local known = print ~= '' and call('GET', KEYS[3 + i])
  if known then
    local offset, before = string.match(known, '^(%d+) (.*)$')
    reply[#reply + 1] = before == print and 2 or 3
    reply[#reply + 1] = tonumber(offset)
  else
    local offset = call('HINCRBY', KEYS[2], 'offset', 1)
    call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', offset), 'd', event)
    if print ~= '' then call('SET', KEYS[3 + i], string.format('%.0f ', offset) .. print, 'PX', ARGV[3]) end
    call('HINCRBY', KEYS[3], kind, 1)
    call('PUBLISH', ARGV[5] .. kind, '{"epoch":"' .. epoch .. '","offset":' .. string.format('%.0f', offset) .. ',"event":' .. event .. '}')
    reply[#reply + 1] = 1
    reply[#reply + 1] = offset
  end
end
if call('EXISTS', KEYS[1]) == 1 then call('PEXPIRE', KEYS[1], ARGV[2]) end
call('PEXPIRE', KEYS[2], string.format('%.0f', ARGV[2] + 2592000000))
call('PEXPIRE', KEYS[3], 691200000)
return reply

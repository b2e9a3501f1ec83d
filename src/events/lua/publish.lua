-- Publishes events: each one is checked for a repeat, numbered, stored, handed out as work, counted and announced.
-- KEYS 1 history 2 meta 3 hourly counts 4 subscribers 5 producer (or the history), then the dedup key of each event (or the
--      history), then the work streams of this call
-- ARGV 1 most entries kept 2 history TTL ms 3 dedup TTL ms 4 epoch for a new history 5 channel prefix 6 version of the
--      subscribers 7 producer's epoch or '' 8 number of events, then for each: type (empty: only skip its number), event,
--      fingerprint (empty: no dedup), producer's number, work streams by number
-- Reply {epoch, then for each: status (1 new, 2 repeat, 3 key used for something else, 4 gap, 5 old producer, 6 skipped),
--       offset, expected number or known epoch}, or {'', subscribers} when their version is another
-- TTL: history and meta as given (meta 30 days more), dedup as given, counts 8 days, producer 35 days.
local call, text = redis.call, function(n) return string.format('%.0f', n) end
if (call('HGET', KEYS[4], '#') or '0') ~= ARGV[6] then return {'', call('HGETALL', KEYS[4])} end
local epoch, count, mine = call('HGET', KEYS[2], 'epoch'), tonumber(ARGV[8]), tonumber(ARGV[7])
if not epoch then
  epoch = ARGV[4]
  call('DEL', KEYS[1])
  call('HSET', KEYS[2], 'epoch', epoch, 'offset', 0)
end
local known, last
if mine then
  local p = call('HMGET', KEYS[5], 'epoch', 'seq')
  known = tonumber(p[1] or nil)
  if known == mine then last = tonumber(p[2]) elseif known then last = 0 end
end
local reply = {epoch}
for i = 1, count do
  local kind, event, print, seq, work = unpack(ARGV, 4 + i * 5, 8 + i * 5)
  local number, status, value = tonumber(seq), nil, 0
  local seen = print ~= '' and call('GET', KEYS[5 + i])
  if mine and known and known > mine then status, value = 5, known
  elseif last and number > last + 1 then status, value = 4, last + 1
  elseif last and number <= last and not seen then status = 2
  elseif kind == '' then status = 6
  elseif seen then
    local offset, before = string.match(seen, '^(%d+) (.*)$')
    status, value = before == print and 2 or 3, tonumber(offset)
  else
    status, value = 1, call('HINCRBY', KEYS[2], 'offset', 1)
    local at = text(value)
    call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], at .. '-0', 'd', event)
    if print ~= '' then call('SET', KEYS[5 + i], at .. ' ' .. print, 'PX', ARGV[3]) end
    for w in string.gmatch(work, '%d+') do call('XADD', KEYS[5 + count + w], '*', 'd', event, 'o', epoch .. '.' .. at, 'h', KEYS[1], 'k', kind) end
    call('HINCRBY', KEYS[3], kind, 1)
    call('PUBLISH', ARGV[5] .. kind, '{"epoch":"' .. epoch .. '","offset":' .. at .. ',"event":' .. event .. '}')
  end
  if mine and status ~= 4 and status ~= 5 then last = math.max(last or 0, number) end
  reply[#reply + 1] = status
  reply[#reply + 1] = value
end
if call('EXISTS', KEYS[1]) == 1 then call('PEXPIRE', KEYS[1], ARGV[2]) end
call('PEXPIRE', KEYS[2], text(ARGV[2] + 2592000000))
call('PEXPIRE', KEYS[3], 691200000)
if last and not (known and known > mine) then
  call('HSET', KEYS[5], 'epoch', ARGV[7], 'seq', text(last)); call('PEXPIRE', KEYS[5], 3024000000)
end
return reply

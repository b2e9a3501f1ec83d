-- Publishes events: each one is checked for a repeat, numbered, stored, handed out as work, counted and announced.
-- KEYS 1 history 2 meta 3 hourly counts 4 subscribers 5 producer (or the history), then the dedup key of each event (or the
--      history), then the work streams of this call
-- ARGV 1 most entries kept 2 age ms 3 dedup TTL ms 4 epoch for a new history 5 channel prefix 6 version of the subscribers
--      7 producer's epoch or '' 8 how long earlier calls took, BUCKET:COUNT by blanks 9 number of events,
--      then for each: type (empty: only skip its number), event, its tag, fingerprint (empty: no dedup), producer's number, work streams by number
-- Reply {epoch, then for each: status (1 new, 2 repeat, 3 key used for something else, 4 gap, 5 old producer, 6 skipped),
--       offset, expected number or known epoch, tag of the stored event or ''}, or {'', subscribers} when their version is another
-- TTL: history as its age and a second, meta 30 days more, dedup as given, counts 8 days, producer 35 days.
local call, text = redis.call, function(n) return string.format('%.0f', n) end
if (call('HGET', KEYS[4], '#') or '0') ~= ARGV[6] then return {'', call('HGETALL', KEYS[4])} end
local count, mine, t = tonumber(ARGV[9]), tonumber(ARGV[7]), call('TIME')
local meta = call('HMGET', KEYS[2], 'epoch', 'offset', 'at')
local epoch, offset, before, repeats = meta[1], tonumber(meta[2] or 0), tonumber(meta[3] or 0), 0
-- Times rise with offsets, even when the clock goes back: histories are searched by them.
local now = math.max(tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000), before)
-- What expires is prolonged by the first call of a second, for a second more; the others need not. Counts are by new fields.
local renew, grown = not epoch or math.floor(now / 1000) > math.floor(before / 1000), false
local function tally(field, n) grown = call('HINCRBY', KEYS[3], field, n) == tonumber(n) or grown end
if not epoch then epoch = ARGV[4]; call('DEL', KEYS[1]); call('HSET', KEYS[2], 'epoch', epoch, 'offset', 0) end
local short, known, last = string.sub(epoch, 1, 8)
if mine then
  local p = call('HMGET', KEYS[5], 'epoch', 'seq')
  known = tonumber(p[1] or nil)
  if known == mine then last = tonumber(p[2]) elseif known then last = 0 end
end
local reply, new, made = {epoch}, {}, {}
for i = 1, count do
  local kind, _, tag, print, seq = unpack(ARGV, 4 + i * 6, 8 + i * 6)
  local number, status, value, at = tonumber(seq), nil, 0, ''
  local seen = print ~= '' and (made[KEYS[5 + i]] or call('GET', KEYS[5 + i]))
  -- What is known of a history that was lost is forgotten: the event is nowhere.
  if seen and string.sub(seen, -8) ~= short then seen = false end
  if mine and known and known > mine then status, value = 5, known
  elseif last and number > last + 1 then status, value = 4, last + 1
  elseif last and number <= last and not seen then status = 2
  elseif kind == '' then status = 6
  elseif seen then
    local o, was, t = string.match(seen, '^(%d+) (%x+) (%x+)')
    status, value, at = was == print and 2 or 3, tonumber(o), t
  else
    offset, status, at = offset + 1, 1, tag
    value, new[#new + 1] = offset, i
    if print ~= '' then made[KEYS[5 + i]] = text(offset) .. ' ' .. print .. ' ' .. tag .. ' ' .. short end
  end
  if status == 2 then repeats = repeats + 1 end
  if mine and status ~= 4 and status ~= 5 then last = math.max(last or 0, number) end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = status, value, at
end
local fresh, at_ms, counts = #new, text(now), {}
-- Taken before they are used: an error on the way leaves a hole, but no offset twice.
if fresh > 0 then call('HSET', KEYS[2], 'offset', text(offset), 'tag', ARGV[6 + new[fresh] * 6], 'at', at_ms) end
for n, i in ipairs(new) do
  local kind, event, tag, print, _, work = unpack(ARGV, 4 + i * 6, 9 + i * 6)
  local o = text(offset - fresh + n)
  if not call('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[1], o .. '-0', 'd', event, 't', tag, 'm', at_ms) then
    call('XADD', KEYS[1], o .. '-0', 'd', event, 't', tag, 'm', at_ms); renew = true
  end
  if print ~= '' then call('SET', KEYS[5 + i], made[KEYS[5 + i]], 'PX', ARGV[3]) end
  for w in string.gmatch(work, '%d+') do call('XADD', KEYS[5 + count + w], '*', 'd', event, 'o', epoch .. '.' .. o, 'h', KEYS[1], 'k', kind) end
  counts[kind] = (counts[kind] or 0) + 1
  call('PUBLISH', ARGV[5] .. kind, '{"epoch":"' .. epoch .. '","offset":' .. o .. ',"at":' .. at_ms .. ',"event":' .. event .. '}')
end
for kind, n in pairs(counts) do tally(kind, n) end
for bucket, n in string.gmatch(ARGV[8], '(%d+):(%d+)') do tally('#' .. bucket, n) end
if repeats > 0 then tally('#duplicates', repeats) end
-- The old leave once a second and every 16 events. At most two leave for each one that comes: a bound on the work that keeps up.
local turn = math.floor(offset / 16) > math.floor((offset - fresh) / 16)
if fresh > 0 and (renew or turn) then
  local function aged(e) return e and tonumber(e[2][6] or now) < now - ARGV[2] end
  if aged(call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]) then
    local old
    for _, e in ipairs(call('XRANGE', KEYS[1], '-', '+', 'COUNT', 2 * fresh + (turn and 32 or 0))) do
      if not aged(e) then break end
      old = tonumber(string.match(e[1], '^%d+'))
    end
    call('XTRIM', KEYS[1], 'MINID', text(old + 1) .. '-0')
  end
end
if renew then
  if fresh > 0 then call('PEXPIRE', KEYS[1], text(ARGV[2] + 1000)) end
  call('PEXPIRE', KEYS[2], text(ARGV[2] + 2592000000))
end
if grown then call('PEXPIRE', KEYS[3], 691200000) end
if last and not (known and known > mine) then
  call('HSET', KEYS[5], 'epoch', ARGV[7], 'seq', text(last)); call('PEXPIRE', KEYS[5], 3024000000)
end
return reply

-- Publishes events: each one is checked for a repeat, numbered, stored, handed out as work, counted and announced.
-- KEYS 1 history 2 meta 3 hourly counts 4 subscribers 5 producer (or the history), then the dedup key of each event (or the
--      history), then the work streams of this call
-- ARGV 1 most entries kept 2 age ms 3 dedup TTL ms 4 epoch for a new history 5 channel prefix 6 version of the subscribers
--      7 producer's epoch or '' 8 how long earlier calls took, BUCKET:COUNT by blanks 9 number of events,
--      then for each: type (empty: only skip its number), event, its tag, fingerprint (empty: no dedup), producer's number, work streams by number
-- Reply {epoch, then for each: status (1 new, 2 repeat, 3 key used for something else, 4 gap, 5 old producer, 6 skipped),
--       offset, expected number or known epoch, tag of the stored event or ''}, or {'', version, subscribers} when their version is another
-- TTL: history as its age and a second, meta 30 days more, dedup as given, counts 8 days, producer 35 days.
local call, text = redis.call, function(n) return string.format('%.0f', n) end
local version = own('HGET', KEYS[4], '#')
-- A version that is no number is like no other: who knows it asks again once it is one.
if not whole(version) then version = call('HLEN', KEYS[4]) > 0 and 'x' or '0' end
if version ~= ARGV[6] then return {'', version, call('HGETALL', KEYS[4])} end
local count, mine, t = tonumber(ARGV[9]), tonumber(ARGV[7]), call('TIME')
local meta = own('HMGET', KEYS[2], 'epoch', 'offset', 'at')
local before, repeats, epoch, offset = whole(meta[3]) or 0, 0, place(meta)
-- What another program added beyond the last offset is passed over, as far as offsets reach.
if epoch and own('XRANGE', KEYS[1], '(' .. text(offset) .. '-0', '+', 'COUNT', 1)[1] then
  offset = tonumber(string.match(call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1], '^%d+'))
  if offset >= 9007199254740000 then epoch = nil end
end
-- Times rise with offsets, even when the clock goes back, though not by days: histories are searched by them.
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if before < now + 86400000 then now = math.max(now, before) end
-- What expires is prolonged by the first call of a second, for a second more; the others need not. Counts are by new fields.
local renew, grown = not epoch or math.floor(now / 1000) > math.floor(before / 1000), false
local function tally(field, n) grown = own('HINCRBY', KEYS[3], field, n) == tonumber(n) or grown end
local function received(e) return e[2][5] == 'm' and whole(e[2][6]) or 0 end
if not epoch then
  epoch, offset = ARGV[4], 0
  call('DEL', KEYS[1], KEYS[2])
  call('HSET', KEYS[2], 'epoch', epoch, 'offset', 0)
end
local short, known, last = string.sub(epoch, 1, 8)
if mine then
  local p = own('HMGET', KEYS[5], 'epoch', 'seq')
  known = whole(p[1])
  if known == mine then last = whole(p[2]) elseif known then last = 0 end
end
local reply, new, made = {epoch}, {}, {}
for i = 1, count do
  local kind, _, tag, print, seq = unpack(ARGV, 4 + i * 6, 8 + i * 6)
  local number, status, value, at = tonumber(seq), nil, 0, ''
  local seen = print ~= '' and (made[KEYS[5 + i]] or own('GET', KEYS[5 + i]))
  local o, was, t, of = string.match(seen or '', '^(%d+) (%x+) (%x+) (%w+)$')
  -- What is known of a history that was lost is forgotten: the event is nowhere.
  if of ~= short or not whole(o) then seen = false end
  if mine and known and known > mine then status, value = 5, known
  elseif last and number > last + 1 then status, value = 4, last + 1
  elseif last and number <= last and not seen then status = 2
  elseif kind == '' then status = 6
  elseif seen then
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
  if not own('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[1], o .. '-0', 'd', event, 't', tag, 'm', at_ms) then
    call('XADD', KEYS[1], o .. '-0', 'd', event, 't', tag, 'm', at_ms); renew = true
  end
  if print ~= '' then call('SET', KEYS[5 + i], made[KEYS[5 + i]], 'PX', ARGV[3]) end
  for w in string.gmatch(work, '%d+') do own('XADD', KEYS[5 + count + w], '*', 'd', event, 'o', epoch .. '.' .. o, 'h', KEYS[1], 'k', kind) end
  counts[kind] = (counts[kind] or 0) + 1
  call('PUBLISH', ARGV[5] .. kind, '{"epoch":"' .. epoch .. '","offset":' .. o .. ',"at":' .. at_ms .. ',"event":' .. event .. '}')
end
for kind, n in pairs(counts) do tally(kind, n) end
for bucket, n in string.gmatch(ARGV[8], '(%d+):(%d+)') do tally('#' .. bucket, n) end
if repeats > 0 then tally('#duplicates', repeats) end
-- The old leave once a second and every 16 events. At most two leave for each one that comes: a bound on the work that keeps up.
local turn = math.floor(offset / 16) > math.floor((offset - fresh) / 16)
if fresh > 0 and (renew or turn) then
  local function aged(e) return e and received(e) < now - ARGV[2] end
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

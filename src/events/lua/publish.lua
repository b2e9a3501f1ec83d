-- Publishes events: each one is checked for a repeat, numbered, stored, handed out as work, counted and announced.
-- KEYS and ARGV: as `Publish` names them; from `rest_keys` on the work streams of all subscribers, then the dedup key of each
--      event (or the history); from `rest` on for each event: type (empty: only skip its number), event, its tag, fingerprint
--      (empty: no dedup), producer's number, work streams by number, epoch for a new history, how long earlier calls took
--      (BUCKET:COUNT by blanks)
-- Reply for each event: {epoch, status (1 new, 2 repeat, 3 key used for something else, 4 gap, 5 old producer, 6 skipped),
--       offset, expected number or known epoch, tag of the stored event or ''}, or when the version of the subscribers is another
--       {'', version, subscribers} for the first and {'', version} for the others
-- TTL: history as its age and a second, meta 30 days more, dedup as given, counts 8 days, producer 35 days.
local call, text = redis.call, function(n) return string.format('%.0f', n) end
local version = own('HGET', subscribers_key, '#')
-- A version that is no number is like no other: who knows it asks again once it is one.
if not whole(version) then version = call('HLEN', subscribers_key) > 0 and 'x' or '0' end
local streams, own_args = tonumber(stream_count), 8
local keys, count = rest_keys - 1 + streams, (#ARGV - rest + 1) / own_args
if version ~= known_version then
  local reply = {{'', version, call('HGETALL', subscribers_key)}}
  for i = 2, count do reply[i] = {'', version} end
  return reply
end
-- The arguments of an event from one to another.
local function args(i, from, to)
  local before = rest - 1 + (i - 1) * own_args
  return unpack(ARGV, before + from, before + to)
end
local mine, t = tonumber(producer_epoch), call('TIME')
local meta = own('HMGET', meta_key, 'epoch', 'offset', 'at')
local before, repeats, epoch, offset = whole(meta[3]) or 0, 0, place(meta)
-- What another program added beyond the last offset is passed over, as far as offsets reach.
if epoch and own('XRANGE', history_key, '(' .. text(offset) .. '-0', '+', 'COUNT', 1)[1] then
  offset = tonumber(string.match(call('XREVRANGE', history_key, '+', '-', 'COUNT', 1)[1][1], '^%d+'))
  if offset >= 9007199254740000 then epoch = nil end
end
-- Times rise with offsets, even when the clock goes back, though not by days: histories are searched by them.
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if before < now + 86400000 then now = math.max(now, before) end
-- What expires is prolonged by the first call of a second, for a second more; the others need not. Counts are by new fields.
local renew, grown = not epoch or math.floor(now / 1000) > math.floor(before / 1000), false
local function tally(field, n) grown = own('HINCRBY', stats_key, field, n) == tonumber(n) or grown end
local function received(e) return e[2][5] == 'm' and whole(e[2][6]) or 0 end
if not epoch then
  epoch, offset = args(1, 7, 7), 0
  call('DEL', history_key, meta_key)
  call('HSET', meta_key, 'epoch', epoch, 'offset', 0)
end
local short, known, last = string.sub(epoch, 1, 8)
if mine then
  local p = own('HMGET', producer_key, 'epoch', 'seq')
  known = whole(p[1])
  if known == mine then last = whole(p[2]) elseif known then last = 0 end
end
local reply, new, made = {}, {}, {}
for i = 1, count do
  local kind, _, tag, print, seq = args(i, 1, 5)
  local number, status, value, at = tonumber(seq), nil, 0, ''
  local seen = print ~= '' and (made[KEYS[keys + i]] or own('GET', KEYS[keys + i]))
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
    if print ~= '' then made[KEYS[keys + i]] = text(offset) .. ' ' .. print .. ' ' .. tag .. ' ' .. short end
  end
  if status == 2 then repeats = repeats + 1 end
  if mine and status ~= 4 and status ~= 5 then last = math.max(last or 0, number) end
  reply[i] = {epoch, status, value, at}
end
local fresh, at_ms, counts = #new, text(now), {}
-- Taken before they are used: an error on the way leaves a hole, but no offset twice.
if fresh > 0 then call('HSET', meta_key, 'offset', text(offset), 'tag', (args(new[fresh], 3, 3)), 'at', at_ms) end
for n, i in ipairs(new) do
  local kind, event, tag, print, _, work = args(i, 1, 6)
  local o = text(offset - fresh + n)
  if not own('XADD', history_key, 'NOMKSTREAM', 'MAXLEN', '~', most_events, o .. '-0', 'd', event, 't', tag, 'm', at_ms) then
    call('XADD', history_key, o .. '-0', 'd', event, 't', tag, 'm', at_ms); renew = true
  end
  if print ~= '' then call('SET', KEYS[keys + i], made[KEYS[keys + i]], 'PX', dedup_ms) end
  for w in string.gmatch(work, '%d+') do own('XADD', KEYS[rest_keys - 1 + w], '*', 'd', event, 'o', epoch .. '.' .. o, 'h', history_key, 'k', kind) end
  counts[kind] = (counts[kind] or 0) + 1
  call('PUBLISH', channel_prefix .. kind, '{"epoch":"' .. epoch .. '","offset":' .. o .. ',"at":' .. at_ms .. ',"event":' .. event .. '}')
end
for kind, n in pairs(counts) do tally(kind, n) end
for i = 1, count do
  for bucket, n in string.gmatch(args(i, 8, 8), '(%d+):(%d+)') do tally('#' .. bucket, n) end
end
if repeats > 0 then tally('#duplicates', repeats) end
-- The old leave once a second and every 16 events. At most two leave for each one that comes: a bound on the work that keeps up.
local turn = math.floor(offset / 16) > math.floor((offset - fresh) / 16)
if fresh > 0 and (renew or turn) then
  local function aged(e) return e and received(e) < now - retention_ms end
  if aged(call('XRANGE', history_key, '-', '+', 'COUNT', 1)[1]) then
    local old
    for _, e in ipairs(call('XRANGE', history_key, '-', '+', 'COUNT', 2 * fresh + (turn and 32 or 0))) do
      if not aged(e) then break end
      old = tonumber(string.match(e[1], '^%d+'))
    end
    call('XTRIM', history_key, 'MINID', text(old + 1) .. '-0')
  end
end
if renew then
  if fresh > 0 then call('PEXPIRE', history_key, text(retention_ms + 1000)) end
  call('PEXPIRE', meta_key, text(retention_ms + 2592000000))
end
if grown then call('PEXPIRE', stats_key, 691200000) end
if last and not (known and known > mine) then
  call('HSET', producer_key, 'epoch', producer_epoch, 'seq', text(last)); call('PEXPIRE', producer_key, 3024000000)
end
return reply

-- Reads one page of the history together with what proves that nothing is missing.
-- KEYS 1 history 2 meta
-- ARGV 1 offset to read after 2 tag of the event there, or '' 3 most entries 4 received at or after, ms, or '' 5 received
--      before, ms, or '' 6 most bytes of the events, the first one aside
-- Reply {epoch or '', last offset, its tag, first kept offset or 0, last offset in range, 1 unless the tag is another's,
--       id, tag and time of each event by commas, the events as one JSON array}: two texts travel lighter than their parts
-- TTL: none, only reads.
local call, text = redis.call, function(n) return string.format('%.0f-0', n) end
local meta = call('HMGET', KEYS[2], 'epoch', 'offset', 'tag')
if not meta[1] then return {'', 0, '', 0, 0, 1, '', '[]'} end
local top, oldest = tonumber(meta[2]) or 0, call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local first = oldest and tonumber(string.match(oldest[1], '^%d+')) or 0
-- The last offset that was received before a time.
local function before(ms)
  local low, high = first - 1, top
  while low < high do
    local middle = math.floor((low + high + 1) / 2)
    local e = call('XRANGE', KEYS[1], text(middle), '+', 'COUNT', 1)[1]
    if e and tonumber(e[2][6] or 0) < tonumber(ms) then low = middle else high = middle - 1 end
  end
  return low
end
local from, upto, same = tonumber(ARGV[1]), top, 1
local at = ARGV[2] ~= '' and call('XRANGE', KEYS[1], text(from), text(from))[1]
if at and at[2][4] and at[2][4] ~= ARGV[2] then same = 0 end
if first > 0 and ARGV[4] ~= '' then from = math.max(from, before(ARGV[4])) end
if first > 0 and ARGV[5] ~= '' then upto = math.max(from, before(ARGV[5])) end
local places, events, n, bytes, most, largest = {}, {}, 0, 0, tonumber(ARGV[3]), tonumber(ARGV[6])
local full = same == 0
while not full and n < most and from < upto do
  local part = call('XRANGE', KEYS[1], text(from + 1), text(upto), 'COUNT', math.min(50, most - n))
  if #part == 0 then break end
  for i = 1, #part do
    local id, f = part[i][1], part[i][2]
    bytes = bytes + #f[2]
    full = n > 0 and bytes > largest
    if full then break end
    n = n + 1
    events[n] = f[2]
    places[3 * n - 2], places[3 * n - 1], places[3 * n] = id, f[4] or '', f[6] or ''
  end
  from = tonumber(string.match(places[3 * n - 2], '^%d+'))
end
return {meta[1], top, meta[3] or '', first, upto, same, table.concat(places, ','), '[' .. table.concat(events, ',') .. ']'}

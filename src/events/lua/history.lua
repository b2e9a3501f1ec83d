-- Reads one page of the history together with what proves that nothing is missing.
-- KEYS and ARGV: as `ReadHistory` names them; the first event may be larger than `most_bytes`
-- Reply {epoch or '', last offset, its tag, first kept offset or 0, last offset in range, 1 unless the tag is another's,
--       id, tag and time of each entry by commas, their events by line breaks}: two texts travel lighter than their parts.
--       An entry that no event can be read from has an empty line, or a line that is no event.
-- TTL: none, only reads: a key of another type is as if absent.
local text = function(n) return string.format('%.0f-0', n) end
local function read(...)
  local reply = redis.pcall(...)
  if failed(reply) and string.find(reply.err, 'WRONGTYPE', 1, true) then return {} end
  return failed(reply) and redis.call(...) or reply
end
local meta = read('HMGET', meta_key, 'epoch', 'offset', 'tag')
local epoch, top = place(meta)
if not epoch then return {'', 0, '', 0, 0, 1, '', ''} end
local oldest = read('XRANGE', history_key, '1-0', '+', 'COUNT', 1)[1]
local first = oldest and tonumber(string.match(oldest[1], '^%d+')) or 0
if first > top then first = 0 end
-- When an entry was received; nil if that cannot be read.
local function received(f) return f[5] == 'm' and whole(f[6]) or nil end
-- The last offset that was received before a time; where a time cannot be read, `unknown` says whether it was.
local function before(ms, unknown)
  local low, high = first - 1, top
  while low < high do
    local middle = math.floor((low + high + 1) / 2)
    local e = read('XRANGE', history_key, text(middle), '+', 'COUNT', 1)[1]
    local at = e and received(e[2])
    local is = e and unknown
    if at then is = at < tonumber(ms) end
    if is then low = middle else high = middle - 1 end
  end
  return low
end
local from, upto, same = tonumber(after), top, 1
local at = after_tag ~= '' and read('XRANGE', history_key, text(from), text(from))[1]
if at and tag_of(at[2][4]) ~= '' and at[2][4] ~= after_tag then same = 0 end
-- Rather too many entries than too few: who reads looks at the times again.
if first > 0 and since ~= '' then from = math.max(from, before(since, false)) end
if first > 0 and upto_ms ~= '' then upto = math.max(from, before(upto_ms, true)) end
local places, events, n, bytes, most, largest = {}, {}, 0, 0, tonumber(most_events), tonumber(most_bytes)
local full = same == 0
while not full and n < most and from < upto do
  local part = read('XRANGE', history_key, text(from + 1), text(upto), 'COUNT', math.min(50, most - n))
  if #part == 0 then break end
  for i = 1, #part do
    local id, f = part[i][1], part[i][2]
    local event = f[1] == 'd' and f[2] or ''
    bytes = bytes + #event
    full = n > 0 and bytes > largest
    if full then break end
    n = n + 1
    events[n] = string.find(event, '\n', 1, true) and string.gsub(event, '\n', ' ') or event
    places[3 * n - 2], places[3 * n - 1], places[3 * n] = id, tag_of(f[4]), received(f) and f[6] or ''
  end
  from = tonumber(string.match(places[3 * n - 2], '^%d+'))
end
return {epoch, top, tag_of(meta[3]), first, upto, same, table.concat(places, ','), table.concat(events, '\n')}

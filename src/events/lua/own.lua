-- What every script of events begins with: keys of ours may hold what this service did not write.
local function failed(reply) return type(reply) == 'table' and reply.err end
-- A command on a key of ours. A value of another type there, or a stream whose ids are used up, is lost and gives way;
-- so does a field that is no number where one is counted.
local function own(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  local err = failed(reply)
  if not err then return reply end
  local function says(text) return string.find(err, text, 1, true) end
  if says('WRONGTYPE') or says('equal or smaller') or says('last possible ID') then redis.call('DEL', key)
  elseif command == 'HINCRBY' and (says('not an integer') or says('overflow')) then redis.call('HDEL', key, (...)) end
  return redis.call(command, key, ...)
end
-- A whole number that Lua holds exactly, or nil.
local function whole(text)
  local n = text and string.find(text, '^%d+$') and tonumber(text)
  return n and n < 9007199254740992 and n or nil
end
-- Epoch and last offset of a history, or nothing when they are not what was written.
local function place(meta)
  local epoch, offset = meta[1], whole(meta[2])
  if epoch and offset and #epoch <= 32 and string.find(epoch, '^%w+$') then return epoch, offset end
end
-- A tag as it is written, or ''.
local function tag_of(text) return text and #text == 8 and string.match(text, '^%x+$') or '' end
-- The fields of an entry by name.
local function fields(entry)
  local f = {}
  for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
  return f
end

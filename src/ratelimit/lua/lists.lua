-- Deny and allow lists, and dynamic limits. One that another program replaced by something else is
-- passed over.
local function read(...)
  local reply = redis.pcall(...)
  local err = type(reply) == 'table' and reply.err
  if not err then return reply end
  return not string.find(err, 'WRONGTYPE', 1, true) and call(...)
end
-- The first of n members that is in the set, beginning after so many.
local function listed(set, at, n, after)
  if n == 0 then return end
  local hits = read('SMISMEMBER', set, unpack(ARGV, at, at + n - 1)) or {}
  for k = after, after + n - 1 do
    local i = k % n + 1
    if hits[i] == 1 then return i end
  end
end

-- Moves dead letters of one subscriber back to its work stream, each once.
-- KEYS and ARGV: as `Redrive` names them; from `rest` on ids
-- Reply: how many moved. No TTL.
local moved = 0
for i = rest, #ARGV do
  local e = own('XRANGE', dead_key, ARGV[i], ARGV[i])[1]
  local f = e and fields(e) or {}
  if f.s == subscriber and f.d and f.o and f.h and f.k then
    own('XADD', work_key, '*', 'd', f.d, 'o', f.o, 'h', f.h, 'k', f.k)
    redis.call('XDEL', dead_key, ARGV[i])
    moved = moved + 1
  end
end
return moved

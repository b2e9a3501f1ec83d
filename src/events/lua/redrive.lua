-- Moves dead letters of one subscriber back to its work stream, each once.
-- KEYS 1 dead letters 2 work stream
-- ARGV 1 subscriber, then ids. Reply: how many moved. No TTL.
local moved = 0
for i = 2, #ARGV do
  local e = own('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  local f = e and fields(e) or {}
  if f.s == ARGV[1] and f.d and f.o and f.h and f.k then
    own('XADD', KEYS[2], '*', 'd', f.d, 'o', f.o, 'h', f.h, 'k', f.k)
    redis.call('XDEL', KEYS[1], ARGV[i])
    moved = moved + 1
  end
end
return moved

-- Moves dead letters of one subscriber back to its work stream, each once.
-- KEYS 1 dead letters 2 work stream
-- ARGV 1 subscriber, then ids. Reply: how many moved. No TTL.
local moved = 0
for i = 2, #ARGV do
  local e = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  local f = {}
  if e then for j = 1, #e[2], 2 do f[e[2][j]] = e[2][j + 1] end end
  if f.s == ARGV[1] then
    redis.call('XADD', KEYS[2], '*', 'd', f.d, 'o', f.o, 'h', f.h, 'k', f.k)
    redis.call('XDEL', KEYS[1], ARGV[i])
    moved = moved + 1
  end
end
return moved

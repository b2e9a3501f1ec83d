local call, floor, ceil, max, min = redis.call, math.floor, math.ceil, math.max, math.min
-- No expiry is longer than Redis takes.
local function int(n) return string.format('%.0f', min(n, 2^62)) end
local function number(text)
  local n = tonumber(text)
  if n and n - n == 0 then return n end
end

-- Sliding window: the window before counts by the share of it that is not over yet.
local function sliding_share(window, start, now, previous)
  return floor((1 - (now - start) / window) * previous)
end
-- When a cost fits beside this window's count and the previous one's.
local function sliding_fits(limit, window, start, count, previous, cost)
  local function when(from, room, weight)
    return from + floor(window * max(0, 1 - (room + 1) / weight)) + 1
  end
  if limit - count - cost >= 0 and previous > 0 then
    return when(start, limit - count - cost, previous)
  elseif count > 0 then
    return when(start + window, limit - cost, count)
  end
  return start + window
end

-- Fixed window, and period of the calendar: one counter until it resets.
-- Returns what is left, when it resets, when a cost fits, what can be given back.
local function fixed(limit, used, reset)
  return limit - used, reset, reset, max(used, 0)
end

-- Builds what scripts see. Receives the native functions and libraries, returns the runners.
local native = ...
local error, type, rawget, rawset, next, select, setmetatable, tostring, tonumber =
  error, type, rawget, rawset, next, select, setmetatable, tostring, tonumber
local pcall, xpcall, unpack, collectgarbage = pcall, xpcall, unpack, collectgarbage
local resume, create, wrap = coroutine.resume, coroutine.create, coroutine.wrap
local table_insert, table_remove, table_sort, table_foreach =
  table.insert, table.remove, table.sort, table.foreach
local concat, gsub, sub = table.concat, string.gsub, string.sub
local floor, ceil = math.floor, math.ceil
local describe, explain, tick, look, pace, enter = native.describe, native.explain, native.tick, native.look, native.pace, native.enter

-- The most results that the interpreter returns at once, its arguments included.
local MAX_RESULTS = 8000
-- Longer loops do not run in one native function, which nothing interrupts.
local LONG = 1000
-- Text after which the clock is looked at more often.
local LARGE = 2 ^ 18
local MIN_INT, MAX_INT = -2 ^ 31, 2 ^ 31 - 1

-- What scripts see of a library: an empty table -> the table behind it. No script gets the second.
local frozen = {}
local READONLY = "Attempt to modify a readonly table"

local function readonly() error(READONLY, 2) end

local function protect(t, missing)
  if missing then setmetatable(t, { __index = missing }) end
  local proxy = setmetatable({}, { __index = t, __newindex = readonly, __metatable = false })
  frozen[proxy] = t
  return proxy
end

-- The errors of the interpreter's library, at the place of the script that called.
local function refuse(index, name, expected, count, value)
  local got = count < index and "no value" or type(value)
  error("bad argument #" .. index .. " to '" .. name .. "' (" .. expected .. " expected, got " .. got .. ")", 3)
end

-- A number as the interpreter converts it to a C integer; nil: it is none.
local function integer(value)
  value = tonumber(value)
  if not value then return nil end
  if value ~= value or value > MAX_INT then return MAX_INT end
  if value < MIN_INT then return MIN_INT end
  return value < 0 and ceil(value) or floor(value)
end

-- What a script may see of an error value; raises again what no script may catch.
local function visible(e, as_text)
  if type(e) == "userdata" then
    local value, fatal = explain(e)
    if fatal then error(e, 0) end
    e = value
  end
  if as_text and type(e) == "table" and type(rawget(e, "err")) == "string" then return e.err end
  return e
end

-- What ended the script may have become another error on its way, where the C stack was full or
-- memory was out: so the clock is looked at again.
local function settle(as_text, ok, ...)
  if ok then return true, ... end
  look()
  return false, visible((...), as_text)
end

local function safe_pcall(...) return settle(true, pcall(...)) end
local function safe_resume(...) return settle(false, resume(...)) end
local function safe_xpcall(f, handler)
  return settle(false, xpcall(f, function(e)
    if type(e) == "userdata" then
      local value, fatal = explain(e)
      if fatal then return e end
      e = value
    end
    return handler(e)
  end))
end

local function made(name, ok, result)
  if ok then return result end
  if type(result) ~= "string" or result == "not enough memory" then error(result, 0) end
  error((gsub(result, "'%?'", "'" .. name .. "'", 1)), 3)
end

local function entered(f)
  return function(...)
    enter()
    return f(...)
  end
end

-- A coroutine counts its own instructions: without a look at the clock, one that starts others
-- which start others would never reach the interpreter's.
local function safe_create(...)
  tick()
  made("create", pcall(create, ...))
  return create(entered(...))
end

local function safe_wrap(...)
  tick()
  made("wrap", pcall(create, ...))
  return wrap(entered(...))
end

local function safe_next(...)
  local t, key = ...
  if type(t) ~= "table" then refuse(1, "next", "table", select("#", ...), t) end
  return next(frozen[t] or t, key)
end

local function safe_rawget(...)
  local t, key = ...
  local count = select("#", ...)
  if type(t) ~= "table" then refuse(1, "rawget", "table", count, t) end
  if count < 2 then error("bad argument #2 to 'rawget' (value expected)", 2) end
  return rawget(frozen[t] or t, key)
end

local safe_pairs, safe_rawset = native.guard(frozen, next, safe_next)

local function safe_unpack(...)
  local t, first, last = ...
  local count = select("#", ...)
  if type(t) ~= "table" then refuse(1, "unpack", "table", count, t) end
  local from = first == nil and 1 or integer(first)
  if not from then refuse(2, "unpack", "number", count, first) end
  local to = last == nil and #t or integer(last)
  if not to then refuse(3, "unpack", "number", count, last) end
  local whole = first == nil and last == nil
  if to - from + 1 > MAX_RESULTS - (whole and 1 or 3) then error("too many results to unpack", 2) end
  if whole then return unpack(t) end
  return unpack(t, from, to)
end

-- The result may be large text, which instructions go through.
local function safe_concat(...)
  local text = made("concat", pcall(concat, ...))
  if #text > LARGE then pace() end
  return text
end

local function safe_insert(...)
  local t, first, value = ...
  local count = select("#", ...)
  if type(t) ~= "table" then refuse(1, "insert", "table", count, t) end
  if count == 2 then
    if frozen[t] then error(READONLY, 0) end
    return table_insert(t, first)
  end
  if count ~= 3 then error("wrong number of arguments to 'insert'", 2) end
  local at = integer(first)
  if not at then refuse(2, "insert", "number", count, first) end
  if frozen[t] then error(READONLY, 0) end
  local length = #t
  if length - at < LONG then return table_insert(t, at, value) end
  for i = length + 1, at + 1, -1 do rawset(t, i, rawget(t, i - 1)) end
  rawset(t, at, value)
end

local function safe_remove(...)
  local t, first = ...
  local count = select("#", ...)
  if type(t) ~= "table" then refuse(1, "remove", "table", count, t) end
  local length = #t
  local at = first == nil and length or integer(first)
  if not at then refuse(2, "remove", "number", count, first) end
  if at < 1 or length - at < LONG then return table_remove(t, at) end
  local removed = rawget(t, at)
  for i = at, length - 1 do rawset(t, i, rawget(t, i + 1)) end
  rawset(t, length, nil)
  return removed
end

-- The interpreter's own sort in its own steps, so that equal elements come in the same order.
local function quicksort(t, low, high, less)
  local function swap(i, j)
    local a, b = rawget(t, i), rawget(t, j)
    rawset(t, i, b)
    rawset(t, j, a)
  end
  while low < high do
    if less(rawget(t, high), rawget(t, low)) then swap(low, high) end
    if high - low == 1 then return end
    local middle = floor((low + high) / 2)
    if less(rawget(t, middle), rawget(t, low)) then
      swap(middle, low)
    elseif less(rawget(t, high), rawget(t, middle)) then
      swap(middle, high)
    end
    if high - low == 2 then return end
    local pivot = rawget(t, middle)
    swap(middle, high - 1)
    local i, j = low, high - 1
    while true do
      i = i + 1
      while less(rawget(t, i), pivot) do
        if i > high then error("invalid order function for sorting", 0) end
        i = i + 1
      end
      j = j - 1
      while less(pivot, rawget(t, j)) do
        if j < low then error("invalid order function for sorting", 0) end
        j = j - 1
      end
      if j < i then break end
      swap(i, j)
    end
    swap(high - 1, i)
    if i - low < high - i then
      quicksort(t, low, i - 1, less)
      low = i + 1
    else
      quicksort(t, i + 1, high, less)
      high = i - 1
    end
  end
end

local function ascending(a, b) return a < b end

local function safe_sort(...)
  local t, less = ...
  local count = select("#", ...)
  if type(t) ~= "table" then refuse(1, "sort", "table", count, t) end
  if less ~= nil and type(less) ~= "function" then refuse(2, "sort", "function", count, less) end
  if #t <= LONG then return table_sort(t, less) end
  if less then return quicksort(t, 1, #t, less) end
  local ok, e = pcall(quicksort, t, 1, #t, ascending)
  if not ok then
    if type(e) == "string" then e = gsub(e, "^restis:%d+: ", "") end
    error(e, 0)
  end
end

local function safe_foreach(...)
  local t, f = ...
  local count = select("#", ...)
  if type(t) ~= "table" then refuse(1, "foreach", "table", count, t) end
  if type(f) ~= "function" then refuse(2, "foreach", "function", count, f) end
  return table_foreach(frozen[t] or t, f)
end

local function is_text(value) return type(value) == "string" or type(value) == "number" end

local function safe_gmatch(...)
  local s, p = ...
  local count = select("#", ...)
  if not is_text(s) then refuse(1, "gmatch", "string", count, s) end
  if not is_text(p) then refuse(2, "gmatch", "string", count, p) end
  local from = 0
  local function take(next, ...)
    from = next
    return ...
  end
  return function()
    if from then return take(native.gmatch(s, p, from)) end
  end
end

-- A match that `gsub` replaces: its place, where the next one is looked for, and its replacement.
local function replace(f, s, start, finish, from, ...)
  if not start then return nil end
  local value
  if type(f) == "table" then value = f[(...)] else value = f(...) end
  if not value then return start, finish, from, sub(s, start + 1, finish) end
  if not is_text(value) then error("invalid replacement value (a " .. type(value) .. ")", 3) end
  return start, finish, from, value
end

local function safe_gsub(...)
  local s, p, f, most = ...
  local calls = type(f) == "function" or type(f) == "table"
  if not (calls and is_text(s) and is_text(p)) then return native.gsub(...) end
  s, most = s .. "", most == nil and MAX_INT or integer(most)
  if not most then return native.gsub(...) end
  local parts, count, copied, from = {}, 0, 0, 0
  while from and count < most do
    local start, finish, next_from, value = replace(f, s, native.replaced(s, p, from))
    if not start then break end
    parts[2 * count + 1], parts[2 * count + 2] = sub(s, copied + 1, start), value
    copied, from, count = finish, next_from, count + 1
  end
  parts[2 * count + 1] = sub(s, copied + 1)
  return concat(parts), count
end

-- `load` of one environment: reads all of the source before it is compiled.
local function loader(loadstring)
  return function(...)
    local read, name = ...
    if type(read) ~= "function" then refuse(1, "load", "function", select("#", ...), read) end
    local parts = {}
    while true do
      local ok, piece = settle(false, pcall(read))
      if not ok then return nil, piece end
      if piece == nil or piece == "" then break end
      if type(piece) ~= "string" and type(piece) ~= "number" then
        return nil, "reader function must return a string"
      end
      parts[#parts + 1] = piece
    end
    return loadstring(concat(parts), name == nil and "=(load)" or name)
  end
end

-- Scripts do not set how garbage is collected: the next script's is collected the same way.
local function safe_collectgarbage(option)
  if option == nil then option = "collect" end
  if option == "count" then return collectgarbage("count") end
  if option == "collect" or option == "step" then
    look()
    return collectgarbage(option)
  end
  if option == "stop" or option == "restart" then return 0 end
  if option == "setpause" or option == "setstepmul" then return 200 end
  if type(option) ~= "string" then refuse(1, "collectgarbage", "string", 1, option) end
  error("bad argument #1 to 'collectgarbage' (invalid option '" .. option .. "')", 2)
end

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local function copy(t, without)
  local result = {}
  for k, v in next, t do
    if not (without and without[k]) then result[k] = v end
  end
  return result
end

local co = copy(coroutine)
co.resume, co.create, co.wrap = safe_resume, safe_create, safe_wrap
local tables = copy(table)
tables.insert, tables.remove, tables.sort = safe_insert, safe_remove, safe_sort
tables.foreach, tables.concat = safe_foreach, safe_concat
local strings = copy(string)
strings.find, strings.match, strings.gmatch = native.find, native.match, safe_gmatch
strings.gsub, strings.rep = safe_gsub, native.rep
strings.lower, strings.upper, strings.reverse = native.lower, native.upper, native.reverse

local libraries = {
  string = protect(strings), table = protect(tables), math = protect(copy(math)),
  coroutine = protect(co), bit = protect(native.bit), cjson = protect(native.cjson),
  cmsgpack = protect(native.cmsgpack), struct = protect(native.struct),
}

local function globals(redis)
  local g = copy(libraries)
  for _, name in next, {
    "assert", "error", "gcinfo", "getmetatable", "ipairs", "rawequal", "select", "setmetatable",
    "tonumber", "tostring", "type", "_VERSION",
  } do g[name] = _G[name] end
  g.pcall, g.xpcall, g.pairs, g.next = safe_pcall, safe_xpcall, safe_pairs, safe_next
  g.rawget, g.rawset, g.unpack = safe_rawget, safe_rawset, safe_unpack
  g.collectgarbage = safe_collectgarbage
  g.redis = protect(redis)
  g._G = protect(g, missing)
  return g, g._G
end

-- Methods of strings are those of the library, and no way to write into it.
local methods = getmetatable("")
methods.__index, methods.__metatable = strings, false

local scripts, script_env = globals(copy(native.redis, { register_function = true }))
local functions, function_env = globals(copy(native.redis))
for g, env in next, { [scripts] = script_env, [functions] = function_env } do
  g.loadstring = native.loader(env)
  g.load = loader(g.loadstring)
end

local function run_script(f, keys, argv)
  scripts.KEYS, scripts.ARGV = keys, argv
  return xpcall(f, describe)
end

local function run_function(f, keys, args)
  return xpcall(function() return f(keys, args) end, describe)
end

local function forget_arguments() scripts.KEYS, scripts.ARGV = nil, nil end

return script_env, function_env, run_script, run_function, forget_arguments

-- Builds what scripts see. Receives the native functions and libraries, returns the runners.
local native = ...
local error, type, rawget, next, setmetatable, tostring, xpcall =
  error, type, rawget, next, setmetatable, tostring, xpcall
local pcall, resume, describe, explain = pcall, coroutine.resume, native.describe, native.explain

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

local function settle(as_text, ok, ...)
  if ok then return true, ... end
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

local function readonly() error("Attempt to modify a readonly table", 2) end

-- An empty table in front of `t`: reads go through, nothing can be written.
local function protect(t, missing)
  if missing then setmetatable(t, { __index = missing }) end
  local proxy = setmetatable({}, { __index = t, __newindex = readonly, __metatable = false })
  native.protected(proxy, t)
  return proxy
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
co.resume = safe_resume
local libraries = {
  string = protect(copy(string)), table = protect(copy(table)), math = protect(copy(math)),
  coroutine = protect(co), bit = protect(native.bit), cjson = protect(native.cjson),
  cmsgpack = protect(native.cmsgpack), struct = protect(native.struct),
}

local function globals(redis)
  local g = copy(libraries)
  for _, name in next, {
    "assert", "collectgarbage", "error", "gcinfo", "getmetatable", "ipairs", "next", "rawequal", "rawget",
    "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "_VERSION",
  } do g[name] = _G[name] end
  g.pcall, g.xpcall, g.pairs, g.rawset = safe_pcall, safe_xpcall, native.pairs, native.rawset
  g.redis = protect(redis)
  g._G = protect(g, missing)
  return g, g._G
end

-- Methods of strings must not be a way to write into the library.
getmetatable("").__metatable = false

local scripts, script_env = globals(copy(native.redis, { register_function = true }))
local functions, function_env = globals(copy(native.redis))
scripts.loadstring, scripts.load = native.loader(script_env)
functions.loadstring, functions.load = native.loader(function_env)

local function run_script(f, keys, argv)
  scripts.KEYS, scripts.ARGV = keys, argv
  return xpcall(f, describe)
end

local function run_function(f, keys, args)
  return xpcall(function() return f(keys, args) end, describe)
end

return script_env, function_env, run_script, run_function

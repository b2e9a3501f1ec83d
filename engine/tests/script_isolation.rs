//! Scripts of callers with different rights share nothing that one of them can write.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use restis_engine::{Caller, Engine, Reply};

/// Visits every value that a script can reach and calls `visit(path, value)` once for each.
const WALK: &str = r#"
local function walk(visit)
  local seen = {}
  local function go(path, value)
    local kind = type(value)
    if kind ~= "table" and kind ~= "function" and kind ~= "thread" then return end
    if seen[value] then return end
    seen[value] = true
    visit(path, value)
    local ok, meta = pcall(getmetatable, value)
    if ok and type(meta) == "table" then go(path .. "<meta>", meta) end
    if kind ~= "table" then return end
    -- What the iterators hand out is reachable, too.
    for _, iterate in pairs({pairs = pairs, ipairs = ipairs}) do
      local ok, step, state, start = pcall(iterate, value)
      if ok then
        go(path .. "<step>", step)
        go(path .. "<state>", state)
        local key = start
        while ok and type(step) == "function" do
          local item
          ok, key, item = pcall(step, state, key)
          if not ok or key == nil then break end
          go(path .. "<key>", key)
          go(path .. "." .. tostring(key), item)
        end
      end
    end
    local key, item = next(value)
    while key ~= nil do
      go(path .. "." .. tostring(key), item)
      key, item = next(value, key)
    end
  end
  go("_G", _G)
  go("string", (""):rep(1) and getmetatable("") or nil)
  for _, name in pairs({"string", "table", "math", "redis", "cjson", "cmsgpack", "struct", "bit", "coroutine"}) do
    go(name, _G[name])
  end
  go("error", redis.pcall("no such command"))
  local _, e = pcall(redis.call, "no such command")
  go("raised", e)
  go("new", cjson.new())
  go("gmatch", string.gmatch("a", "a"))
end
"#;

/// Tries every way to write into a table.
const WRITE: &str = r#"
local mark = function() return "planted" end
local function write(path, t)
  if type(t) ~= "table" then return end
  for _, key in pairs({"planted", "call", "rep", "insert", "encode", "pcall", 1}) do
    pcall(function() t[key] = mark end)
    pcall(rawset, t, key, mark)
  end
  pcall(table.insert, t, mark)
  pcall(table.insert, t, 1, mark)
  pcall(table.remove, t)
  pcall(table.remove, t, 1)
  pcall(table.sort, t, function() return true end)
  pcall(function() table.setn(t, 5) end)
  pcall(setmetatable, t, { __index = function() return mark end })
  pcall(setmetatable, t, nil)
  pcall(string.gsub, "a", "a", t)
  pcall(cjson.encode, t)
  pcall(function()
    for key in pairs(t) do
      pcall(function() t[key] = mark end)
      pcall(rawset, t, key, mark)
    end
  end)
end
for _, value in pairs({"", 1, true, print_nothing}) do pcall(setmetatable, value, { __index = { x = mark } }) end
pcall(function() ("x").planted = mark end)
"#;

/// What a script sees, one line a value. Addresses tell whether the very same functions are there.
const LIST: &str = r#"
local lines = {}
walk(function(path, value)
  if path:find("^[_a-z]") and not path:find("^error") and not path:find("^raised")
    and not path:find("^new") and not path:find("^gmatch") then
    local shown = type(value) == "function" and tostring(value) or type(value)
    lines[#lines + 1] = path .. " " .. shown
  end
end)
table.sort(lines)
return table.concat(lines, "\n")
"#;

fn text(reply: Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("not a text: {other:?}"),
    }
}

fn list(engine: &Engine) -> String {
    text(engine.call(&["EVAL", &format!("{WALK}{LIST}"), "0"]))
}

#[test]
fn nothing_that_a_script_reaches_can_be_written() {
    let engine = Engine::default();
    let before = list(&engine);
    assert!(before.lines().count() > 90, "{before}");
    let attack = format!(
        "{WALK}{}walk(write) return 1",
        WRITE.replace("print_nothing", "1")
    );
    assert_eq!(engine.call(&["EVAL_RO", &attack, "0"]), Reply::Int(1));
    assert_eq!(list(&engine), before);

    // The same from a library, while it loads and when it is called.
    let library = format!(
        "#!lua name=attack\n{WALK}{}\nredis.register_function{{function_name='attack', callback=function() walk(write) return 1 end, flags={{'no-writes'}}}}",
        WRITE.replace("print_nothing", "1")
    );
    assert_eq!(
        engine.call(&["FUNCTION", "LOAD", &library]),
        Reply::bulk("attack")
    );
    assert_eq!(engine.call(&["FCALL_RO", "attack", "0"]), Reply::Int(1));
    assert_eq!(list(&engine), before);
}

#[test]
fn a_writer_of_one_script_is_told_so() {
    let engine = Engine::default();
    for script in [
        "table.insert(redis, 'x')",
        "table.insert(string, 1, 'x')",
        "rawset(_G, 'x', 1)",
        "for _, t in pairs({string, redis, _G}) do local f, s = pairs(t) rawset(s, 'x', 1) end",
        "local _, t = pairs(redis) t.call = nil",
        "redis.pcall = nil",
        "table.sort = nil",
    ] {
        let reply = engine.call(&["EVAL_RO", script, "0"]);
        assert!(
            format!("{reply:?}").contains("Attempt to modify a readonly table"),
            "{script}: {reply:?}"
        );
    }
}

/// A caller that may run read-only scripts and read public keys, and nothing else.
fn reader(engine: &Engine) -> Caller {
    let rules = ["+@all", "-@write", "~public:*"];
    let command = [&["ACL", "SETUSER", "reader", "on"][..], &rules].concat();
    assert_eq!(engine.call(&command), Reply::ok());
    Caller::user("reader")
}

#[test]
fn what_a_reader_leaves_does_not_run_with_the_rights_of_the_next_caller() {
    let engine = Engine::default();
    engine.call(&["SET", "secret:1", "hidden"]);
    let reader = reader(&engine);
    let plants = [
        "local _, t = pairs(redis) local old = t.call t.call = function(...) old('SET', 'stolen', old('GET', 'secret:1')) return old(...) end return 1",
        "local _, t = pairs(_G) t.tonumber = function() return redis.call('SET', 'stolen', 1) end return 1",
        "local _, t = pairs(string) t.upper = function() redis.call('SET', 'stolen', 1) return 'X' end return 1",
        "getmetatable('').__index = function() redis.call('SET', 'stolen', 1) end return 1",
        "table.insert(redis, function() redis.call('SET', 'stolen', 1) end) return 1",
        "setmetatable(_G, {__index = function() redis.call('SET', 'stolen', 1) end}) return 1",
        "next = function() redis.call('SET', 'stolen', 1) end return 1",
        "local k = next(redis) rawset(redis, k, function() redis.call('SET', 'stolen', 1) end) return 1",
        "string.gsub('a', 'a', redis) for k in pairs(redis) do redis[k] = redis.call end return 1",
        "redis.setresp(3) math.randomseed(7) cjson.encode_max_depth(1) cjson.encode_sparse_array(true) collectgarbage('stop') collectgarbage('setpause', 1000) return 1",
    ];
    for plant in plants {
        engine.call_as(&reader, &["EVAL_RO", plant, "0"]);
        let used = "local x = ('a'):upper() .. tonumber('1') .. cjson.encode({{{1}}}) local t = {} table.insert(t, x) next(t) return {redis.call('PING').ok, x, redis[1] == nil, unknown == nil}";
        let used = used.replace(", unknown == nil", "");
        assert_eq!(
            engine.call(&["EVAL", &used, "0"]),
            Reply::array([Reply::bulk("PONG"), Reply::bulk("A1[[[1]]]"), Reply::Int(1)]),
            "{plant}"
        );
        assert_eq!(engine.call(&["EXISTS", "stolen"]), Reply::Int(0), "{plant}");
    }
    for read in [
        "return redis.call('GET', 'secret:1')",
        "return redis.pcall('GET', 'secret:1').err",
        "return redis.call('SET', 'public:1', 1)",
    ] {
        let reply = format!("{:?}", engine.call_as(&reader, &["EVAL_RO", read, "0"]));
        assert!(!reply.contains("hidden"), "{reply}");
    }
    assert_eq!(engine.call(&["EXISTS", "public:1"]), Reply::Int(0));
}

#[test]
fn a_seed_counts_for_its_own_script_only() {
    let roll = |engine: &Engine| {
        text(engine.call(&["EVAL", "return tostring(math.random(1000000))", "0"]))
    };
    let (seeded, plain) = (Engine::default(), Engine::default());
    seeded.call(&["EVAL_RO", "math.randomseed(7) return math.random(10)", "0"]);
    assert_eq!(roll(&seeded), roll(&plain));
    let again = "math.randomseed(7) return tostring(math.random(1000000))";
    assert_eq!(
        seeded.call(&["EVAL", again, "0"]),
        seeded.call(&["EVAL", again, "0"])
    );
}

#[test]
fn errors_and_replies_are_made_for_each_call() {
    let engine = Engine::default();
    let script = "local e = redis.pcall('NOSUCH') e.err = 'ERR changed' e.more = e \
        local ok = redis.call('SET', KEYS[1], 'x') ok.ok = 'CHANGED' \
        local _, raised = pcall(redis.call, 'NOSUCH') \
        return {redis.pcall('NOSUCH').err, redis.call('SET', KEYS[1], 'y').ok}";
    let unknown = "ERR Unknown Redis command called from script";
    assert_eq!(
        engine.call(&["EVAL", script, "1", "k"]),
        Reply::array([Reply::bulk(unknown), Reply::bulk("OK")])
    );
}

#[test]
fn the_keys_of_one_call_are_gone_in_the_next() {
    let engine = Engine::default();
    engine.call(&[
        "EVAL",
        "KEYS.more = ARGV ARGV.more = KEYS return 1",
        "1",
        "a",
        "b",
    ]);
    assert_eq!(
        engine.call(&[
            "EVAL",
            "return {#KEYS, #ARGV, KEYS.more == nil, ARGV.more == nil}",
            "0"
        ]),
        Reply::array([Reply::Int(0), Reply::Int(0), Reply::Int(1), Reply::Int(1)])
    );
}

//! Hostile scripts end within the time and the memory that scripts have, whatever they call.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::{Duration, Instant};

use restis_engine::{Engine, Eviction, Options, Reply};

/// The time limit of the scripts here.
const LIMIT: Duration = Duration::from_millis(200);
/// What a script may take beyond it: the last operation ends. Long, for a busy machine.
const SLACK: Duration = Duration::from_secs(8);

/// Scripts separated by lines `---`.
const HOSTILE: &str = include_str!("hostile.txt");

fn eval(engine: &Engine, script: &str) -> Reply {
    engine.call(&["EVAL", script, "1", "k", "a"])
}

fn error(reply: &Reply) -> &str {
    match reply {
        Reply::Error(error) => error.message(),
        other => panic!("not an error: {other:?}"),
    }
}

/// The most memory this process has had, in bytes, where the system tells.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) << 10
}

#[test]
fn hostile_scripts_end_in_time_and_memory() {
    for script in HOSTILE.split("\n---\n") {
        let engine = Engine::new(Options::default().script_time_limit(LIMIT));
        let start = Instant::now();
        let reply = eval(&engine, script);
        let took = start.elapsed();
        assert!(took < LIMIT + SLACK, "{took:?}: {script}");
        let text = format!("{reply:?}");
        assert!(
            text.len() < 1 << 20,
            "{} bytes of reply: {script}",
            text.len()
        );
        assert_eq!(eval(&engine, "return 1"), Reply::Int(1), "{script}");
        // Of the interpreter 256 MB, as much again for what is on its way in or out, and garbage.
        assert!(peak() < 900 << 20, "{} MB: {script}", peak() >> 20);
    }
}

#[test]
fn a_script_takes_of_memory_what_the_data_leaves() {
    let engine = Engine::new(
        Options::default()
            .memory_limit(64 << 20)
            .eviction(Eviction::NoEviction)
            .script_time_limit(Duration::from_secs(60)),
    );
    let most = "local n = 0 local t = {} \
        pcall(function() while true do t[#t + 1] = string.rep('x', 2^20) .. #t n = n + 1 end end) \
        t = nil return n";
    let Reply::Int(free) = eval(&engine, most) else {
        panic!("no number");
    };
    assert!((20..64).contains(&free), "{free}");
    let fill = "redis.call('SET', KEYS[1], string.rep('x', 15 * 2^20)) return 1";
    for key in ["a", "b", "c"] {
        let reply = engine.call(&["EVAL", fill, "1", key]);
        assert_eq!(reply, Reply::Int(1));
    }
    let Reply::Int(left) = eval(&engine, most) else {
        panic!("no number");
    };
    assert!((2..18).contains(&left), "{left}");
}

#[test]
fn what_libraries_keep_counts_as_the_databases_memory() {
    const LIMIT: usize = 24 << 20;
    let options = Options::default()
        .memory_limit(LIMIT)
        .eviction(Eviction::NoEviction)
        .script_time_limit(Duration::from_secs(60));
    let engine = Engine::new(options);
    // While it loads, library after library.
    let mut loaded = 0;
    let refused = loop {
        let code = format!(
            "#!lua name=l{loaded}\nlocal t = {{}} for i = 1, 20000 do t[i] = i .. 'x' end \
             redis.register_function('f{loaded}', function() return #t end)"
        );
        let reply = engine.call(&["FUNCTION", "LOAD", &code]);
        if reply.is_error() {
            break reply;
        }
        loaded += 1;
        assert!(loaded < 100, "{}", engine.used_memory());
    };
    assert!(error(&refused).contains("OOM"), "{refused:?}");
    assert!((5..60).contains(&loaded), "{loaded}");
    assert!(engine.used_memory() > LIMIT / 2);
    assert_eq!(engine.call(&["FCALL", "f0", "0"]), Reply::Int(20_000));
    assert!(error(&engine.call(&["SET", "k", &"x".repeat(1 << 20)])).contains("OOM"));
    assert_eq!(engine.call(&["FUNCTION", "FLUSH"]), Reply::ok());
    assert!(engine.used_memory() < LIMIT / 4, "{}", engine.used_memory());
    assert_eq!(engine.call(&["SET", "k", "v"]), Reply::ok());

    // While it is called.
    let code = "#!lua name=l\nlocal t = {} redis.register_function('f', \
                function() t[#t + 1] = string.rep('x', 2 ^ 20) .. #t return #t end)";
    assert_eq!(engine.call(&["FUNCTION", "LOAD", code]), Reply::bulk("l"));
    let calls = (0..200).take_while(|_| !engine.call(&["FCALL", "f", "0"]).is_error());
    let calls = calls.count();
    assert!((16..120).contains(&calls), "{calls}");
    assert_eq!(engine.call(&["FUNCTION", "DELETE", "l"]), Reply::ok());
    assert_eq!(eval(&engine, "return 1"), Reply::Int(1));
    assert!(engine.used_memory() < LIMIT / 4, "{}", engine.used_memory());
}

#[test]
fn a_script_that_has_started_does_not_fill_memory() {
    let options = Options::default()
        .memory_limit(8 << 20)
        .eviction(Eviction::NoEviction)
        .script_time_limit(Duration::from_secs(60));
    let fill =
        "for i = 1, 200 do redis.call('SET', KEYS[1] .. i, string.rep('x', 2^20)) end return 1";
    for script in [fill.to_owned(), format!("#!lua flags=allow-oom\n{fill}")] {
        let engine = Engine::new(options.clone());
        assert!(error(&eval(&engine, &script)).starts_with("OOM"));
        assert!(engine.used_memory() < 30 << 20, "{}", engine.used_memory());
    }
}

#[test]
fn a_library_that_does_not_end_is_stopped_as_it_loads() {
    let engine = Engine::new(Options::default().script_time_limit(LIMIT));
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local s = string.rep('a', 1e5) s:find(string.rep('a?', 1e5) .. 'b')",
        "local t = {} while true do t[#t + 1] = string.rep('x', 2^20) .. #t end",
    ] {
        let library =
            format!("#!lua name=lib\n{body}\nredis.register_function('f', function() end)");
        let start = Instant::now();
        let reply = engine.call(&["FUNCTION", "LOAD", &library]);
        assert!(reply.is_error(), "{body}: {reply:?}");
        assert!(start.elapsed() < LIMIT + SLACK, "{body}");
        assert_eq!(eval(&engine, "return 1"), Reply::Int(1), "{body}");
    }
}

/// Calls the functions of every library with every choice of two of these values.
const ANY_ARGUMENTS: &str = r#"
local asked = 0
local function some() asked = asked + 1 if asked % 3 > 0 then return "a" end end
local values = {
  0, -1, 1, 2.5, 255, 1e9, 2^31, -2^31, 2^53, 1e300, -1e300, 1/0, -1/0, 0/0, "", "a", "%", "i4", "[1,2]", "\145\1",
  "2147483648", ("x"):rep(1000), true, {}, {1, 2, 3}, {a = 1}, setmetatable({}, {__index = function() return 1 end}),
  some, cjson.null, coroutine.create(function() end), redis, string,
}
local skipped = { pcall = true, xpcall = true, error = true, collectgarbage = true, yield = true, insert = true }
local from, to, calls = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for _, library in pairs({ _G, string, table, math, coroutine, bit, cjson, cmsgpack, struct, redis }) do
  for name, f in pairs(library) do
    if type(f) == "function" and not skipped[name] then
      for i = from, to do
        local a = values[i]
        if a ~= nil then
          pcall(f, a)
          for _, b in pairs(values) do
            pcall(f, a, b)
            pcall(f, "abc", a, b)
            calls = calls + 2
          end
        end
      end
      pcall(f)
    end
  end
end
return calls
"#;

#[test]
fn every_function_takes_any_arguments() {
    let engine = Engine::new(Options::default().script_time_limit(Duration::from_secs(120)));
    for from in 1..=32 {
        let from = from.to_string();
        let reply = engine.call(&["EVAL", ANY_ARGUMENTS, "0", &from, &from]);
        let Reply::Int(calls) = reply else {
            panic!("{from}: {reply:?}");
        };
        assert!(calls > 5_000, "{calls}");
    }
}

//! What scripts may and may not do, beyond what a Redis can be asked.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::{Duration, Instant};

use restis_engine::{Engine, Eviction, Options, Reply};

fn eval(engine: &Engine, script: &str) -> Reply {
    engine.call(&["EVAL", script, "1", "k", "a"])
}

fn error(reply: &Reply) -> &str {
    match reply {
        Reply::Error(error) => error.message(),
        other => panic!("not an error: {other:?}"),
    }
}

#[test]
fn key_locking_allows_declared_keys_only() {
    let engine = Engine::default();
    let run = |body: &str| eval(&engine, &format!("#!lua flags=allow-key-locking\n{body}"));
    assert_eq!(
        run("return redis.call('SET', KEYS[1], ARGV[1])"),
        Reply::ok()
    );
    assert_eq!(
        run("return redis.call('MGET', KEYS[1], KEYS[1])[2]"),
        Reply::bulk("a")
    );
    let text = "ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set. Key was: other";
    for body in [
        "return redis.call('GET', 'other')",
        "return redis.call('MGET', KEYS[1], 'other')",
        "return redis.call('ZUNIONSTORE', KEYS[1], 1, 'other')",
    ] {
        assert!(error(&run(body)).starts_with(text), "{:?}", run(body));
    }
    assert_eq!(
        run("return redis.pcall('GET', 'other').err"),
        Reply::bulk(text)
    );
    assert_eq!(
        eval(&engine, "return redis.call('GET', 'other')"),
        Reply::Nil
    );
}

#[test]
fn the_hash_of_a_script_is_that_of_its_whole_text() {
    let engine = Engine::default();
    let script = "#!lua flags=allow-key-locking\nreturn redis.call('GET', KEYS[1])";
    let sha = engine.call(&["SCRIPT", "LOAD", script]);
    assert_eq!(
        sha,
        engine.call(&["EVAL", "return redis.sha1hex(ARGV[1])", "0", script])
    );
    let Reply::Bulk(sha) = sha else {
        panic!("no hash")
    };
    let upper = String::from_utf8(sha.to_ascii_uppercase()).unwrap();
    assert_eq!(engine.call(&["EVALSHA", &upper, "1", "k"]), Reply::Nil);
    assert_eq!(
        engine.call(&["EVALSHA", &upper, "1", "k", "x", "y"]),
        Reply::Nil
    );
    engine.call(&["SCRIPT", "FLUSH"]);
    assert_eq!(
        error(&engine.call(&["EVALSHA", &upper, "1", "k"])),
        "NOSCRIPT No matching script. Please use EVAL."
    );
}

#[test]
fn a_script_sees_nothing_of_the_host_or_of_other_scripts() {
    let engine = Engine::default();
    for name in [
        "io", "os", "require", "package", "dofile", "loadfile", "print", "debug", "getfenv",
        "setfenv", "newproxy", "module", "jit", "ffi",
    ] {
        let reply = eval(&engine, &format!("return {name}"));
        assert!(
            error(&reply).contains("nonexistent global variable"),
            "{name}: {reply:?}"
        );
    }
    for write in [
        "x = 1",
        "_G.x = 1",
        "string.rep = nil",
        "rawset(_G, 'x', 1)",
        "rawset(string, 'x', 1)",
        "redis.call = nil",
        "cjson.encode = nil",
        "setmetatable(_G, nil)",
        "getmetatable(_G).__index = nil",
        "getmetatable('').__index = nil",
        "KEYS = nil",
    ] {
        assert!(eval(&engine, write).is_error(), "{write}");
    }
    assert_eq!(eval(&engine, "return ('x'):rep(2)"), Reply::bulk("xx"));
    assert_eq!(
        eval(&engine, "return getmetatable('') or getmetatable(_G)"),
        Reply::Nil
    );
    let bytecode = "return tostring((loadstring(string.dump(function() end))))";
    assert_eq!(eval(&engine, bytecode), Reply::bulk("nil"));
    assert!(error(&eval(&engine, "\u{1b}Lua")).contains("Error compiling script"));
}

#[test]
fn memory_is_bounded_and_the_next_script_runs() {
    // Time must not run out first, on a busy machine.
    let engine = Engine::new(Options::default().script_time_limit(Duration::from_secs(60)));
    for hungry in [
        "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 2^30)",
        "local t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end",
        "local ok = pcall(function() return string.rep('x', 2^30) end) return string.rep('y', 2^30)",
    ] {
        assert!(
            error(&eval(&engine, hungry)).contains("not enough memory"),
            "{hungry}"
        );
        assert_eq!(
            eval(&engine, "return #string.rep('x', 1000)"),
            Reply::Int(1000)
        );
    }
    let large = "local t = {} for i = 1, 60 do t[i] = string.rep('x', 2^20) .. i end return #t";
    for _ in 0..6 {
        assert_eq!(eval(&engine, large), Reply::Int(60));
    }
}

#[test]
fn a_script_that_does_not_end_is_stopped_whatever_it_catches() {
    let engine = Engine::new(Options::default().script_time_limit(Duration::from_millis(50)));
    for endless in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() return 1 end) end",
        "local c = coroutine.create(function() while true do end end) coroutine.resume(c) while true do end",
        "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()",
        "while true do redis.pcall('PING') end",
    ] {
        let start = Instant::now();
        let reply = eval(&engine, endless);
        assert!(error(&reply).starts_with("BUSY"), "{endless}: {reply:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{endless}");
        assert_eq!(eval(&engine, "return 1"), Reply::Int(1));
    }
}

#[test]
fn scripts_respect_the_memory_limit_of_the_data() {
    let engine = Engine::new(
        Options::default()
            .memory_limit(20_000)
            .eviction(Eviction::NoEviction),
    );
    // It needs more than one of the many below, so that it does not fit where they do not.
    let fill = "return redis.call('SET', KEYS[1], string.rep('x', 200))";
    assert_eq!(eval(&engine, fill), Reply::ok());
    // Each write is checked, not only whether there was room when the script began.
    let many = "for i = 1, 1000 do redis.call('SET', i, string.rep('x', 100)) end";
    assert!(error(&eval(&engine, many)).starts_with("OOM"));
    assert!(engine.used_memory() <= 20_000);
    assert!(error(&eval(&engine, fill)).starts_with("OOM"));
    // The flag lets a script begin, to remove something; it is no way around the limit.
    let flagged = format!("#!lua flags=allow-oom\n{many}");
    assert!(error(&eval(&engine, &flagged)).starts_with("OOM"));
    assert!(engine.used_memory() <= 20_000);
    assert_eq!(
        eval(&engine, "return redis.call('DEL', KEYS[1])"),
        Reply::Int(1)
    );
}

#[test]
fn a_script_that_fails_keeps_what_it_wrote() {
    let engine = Engine::default();
    let script = "redis.call('SET', KEYS[1], 'kept') redis.call('LPUSH', KEYS[1], 'x')";
    assert!(error(&eval(&engine, script)).starts_with("WRONGTYPE"));
    let read = "return redis.call('GET', KEYS[1])";
    assert_eq!(eval(&engine, read), Reply::bulk("kept"));
}

#[test]
fn a_read_only_function_call_runs_anything_that_only_reads() {
    let engine = Engine::default();
    let library = "#!lua name=lib\nredis.register_function('get', function(keys) return redis.call('GET', keys[1]) end)\nredis.register_function('set', function(keys) return redis.call('SET', keys[1], 1) end)";
    assert_eq!(
        engine.call(&["FUNCTION", "LOAD", library]),
        Reply::bulk("lib")
    );
    assert_eq!(engine.call(&["FCALL_RO", "get", "1", "k"]), Reply::Nil);
    assert_eq!(engine.call(&["FCALL", "set", "1", "k"]), Reply::ok());
    let reply = engine.call(&["FCALL_RO", "set", "1", "k"]);
    assert!(
        error(&reply).contains("commands are not allowed from read-only"),
        "{reply:?}"
    );
}

#[test]
fn many_scripts_do_not_pile_up() {
    let engine = Engine::default();
    for n in 0..5_000 {
        assert_eq!(eval(&engine, &format!("return {n}")), Reply::Int(n));
    }
    let exists = |script: &str| {
        let sha = match engine.call(&["EVAL", "return redis.sha1hex(ARGV[1])", "0", script]) {
            Reply::Bulk(sha) => String::from_utf8(sha.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        engine.call(&["SCRIPT", "EXISTS", &sha])
    };
    assert_eq!(exists("return 1"), Reply::array([Reply::Int(0)]));
    assert_eq!(exists("return 4999"), Reply::array([Reply::Int(1)]));
}

#[test]
fn scripts_run_one_at_a_time() {
    let engine = Engine::default();
    let increment = "local n = tonumber(redis.call('GET', KEYS[1]) or '0') redis.call('SET', KEYS[1], n + 1) return n";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| drop(eval(&engine, increment))));
        }
    });
    assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("2000"));
}

#[test]
fn replies_have_the_types_of_resp3_after_setresp() {
    let engine = Engine::default();
    for command in [
        &["HSET", "h", "f", "v"][..],
        &["SADD", "s", "m"],
        &["ZADD", "z", "1.5", "m"],
        &["XADD", "x", "1-1", "f", "v"],
    ] {
        assert!(!engine.call(command).is_error());
    }
    let text = |script: &str| eval(&engine, &format!("redis.setresp(3) {script}"));
    for (script, wanted) in [
        ("return redis.call('HGETALL','h').map.f", "v"),
        ("return tostring(redis.call('SMEMBERS','s').set.m)", "true"),
        (
            "return tostring(redis.call('ZSCORE','z','m').double)",
            "1.5",
        ),
        (
            "local r = redis.call('ZRANGE','z',0,-1,'WITHSCORES') return r[1][1] .. r[1][2].double",
            "m1.5",
        ),
        (
            "return redis.call('XREAD','STREAMS','x','0').map.x[1][1]",
            "1-1",
        ),
        ("return redis.call('INFO').verbatim_string.format", "txt"),
        ("return type(redis.call('HGETALL','none').map)", "table"),
        ("return tostring(redis.call('ZSCORE','z','none'))", "nil"),
        ("redis.setresp(2) return redis.call('HGETALL','h')[2]", "v"),
    ] {
        assert_eq!(text(script), Reply::bulk(wanted), "{script}");
    }
    // A client of RESP2 gets the flat form of each.
    assert_eq!(
        text("return redis.call('HGETALL','h')"),
        Reply::array(["f", "v"].map(Reply::bulk))
    );
    assert_eq!(
        text("return redis.call('ZRANGE','z',0,-1,'WITHSCORES')"),
        Reply::array([Reply::array(["m", "1.5"].map(Reply::bulk))])
    );
}

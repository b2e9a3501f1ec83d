//! The published faults of Redis' and Valkey's scripting: one test each, none of them is here.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::Duration;

use restis_engine::{Caller, Engine, Options, Reply};

fn eval(engine: &Engine, script: &str) -> Reply {
    engine.call(&["EVAL", script, "0"])
}

/// Runs a script that would break a faulty interpreter, then shows that this one still works.
fn survives(script: &str) -> String {
    // Time must not run out first, on a busy machine.
    let engine = Engine::new(Options::default().script_time_limit(Duration::from_secs(60)));
    let reply = format!("{:?}", eval(&engine, script));
    assert_eq!(eval(&engine, "return 1"), Reply::Int(1), "{script}");
    reply
}

fn fails_with(script: &str, text: &str) {
    let reply = survives(script);
    assert!(reply.starts_with("Error"), "{script}: {reply}");
    assert!(reply.contains(text), "{script}: {reply}");
}

fn answers(script: &str, reply: Reply) {
    assert_eq!(survives(script), format!("{reply:?}"), "{script}");
}

#[test]
fn cve_2014_5461_parameters_of_a_vararg_function_have_room() {
    let names: Vec<String> = (0..190).map(|n| format!("p{n}")).collect();
    let script = format!(
        "local function f({}, ...) return p0, select('#', ...) end
         local function deep(n) if n == 0 then return f(1) end local a, b = deep(n - 1) return a, b end
         for n = 1, 60 do deep(n) end
         return coroutine.wrap(function() return (f(7)) end)()",
        names.join(",")
    );
    answers(&script, Reply::Int(7));
}

#[test]
fn cve_2015_4335_bytecode_is_not_loaded() {
    answers(
        "return tostring((loadstring(string.dump(function() return 1 end))))",
        Reply::bulk("nil"),
    );
    answers(
        "local code, sent = string.dump(function() return 1 end), false
         return tostring((load(function() if not sent then sent = true return code end end)))",
        Reply::bulk("nil"),
    );
    answers(
        "local code, at = string.dump(function() return 1 end), 0
         return tostring((load(function() at = at + 1 return code:sub(at, at) end)))",
        Reply::bulk("nil"),
    );
    fails_with("\u{1b}Lua", "Error compiling script");
    let engine = Engine::default();
    let library = [b"#!lua name=x".as_slice(), b"\x1bLuaQ"].concat();
    assert!(
        engine
            .call(&[b"FUNCTION".as_slice(), b"LOAD", &library])
            .is_error()
    );
}

#[test]
fn cve_2015_8080_a_size_of_struct_does_not_overflow() {
    for size in ["2147483648", "4294967296", "99999999999999999999"] {
        for option in ["i", "I", "c", "!"] {
            survives(&format!("return struct.pack('{option}{size}', 'x')"));
            survives(&format!("return struct.unpack('{option}{size}', 'x')"));
            survives(&format!("return struct.size('{option}{size}')"));
        }
    }
    fails_with("return struct.pack('I40', 1)", "integral size 40");
}

#[test]
fn cve_2018_11218_many_values_of_cmsgpack_do_not_overflow_the_stack() {
    fails_with(
        "return cmsgpack.unpack(string.rep('\\1', 100000))",
        "stack overflow",
    );
    fails_with(
        "return cmsgpack.unpack(string.rep('\\145', 100000) .. '\\1')",
        "Bad data format",
    );
    fails_with(
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "Missing bytes",
    );
    fails_with(
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
        "Missing bytes",
    );
    fails_with(
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255')",
        "Missing bytes",
    );
    let deep = "local t = {} for i = 1, 100000 do t = {t} end return #cmsgpack.pack(t)";
    answers(deep, Reply::Int(17));
}

#[test]
fn cve_2018_11219_an_offset_of_struct_stays_inside() {
    for start in ["2147483647", "-1", "0", "2^53", "1e300", "0/0", "1/0"] {
        survives(&format!("return struct.unpack('i4', 'abcdefgh', {start})"));
        survives(&format!("return struct.unpack('s', 'abc', {start})"));
    }
    survives("return struct.unpack('Bc0', '\\255abc')");
    survives("return struct.unpack('dc0', struct.pack('d', 1e300) .. 'abc')");
    survives("return struct.unpack('dc0', struct.pack('d', -1) .. 'abc')");
    fails_with(
        "return struct.unpack(string.rep('b', 100000), string.rep('a', 100000))",
        "too many results",
    );
}

#[test]
fn cve_2020_14147_a_number_in_a_format_does_not_overflow() {
    fails_with("return struct.pack('i2147483647', 1)", "integral size");
    fails_with(
        "return struct.size('c99999999999')",
        "integral size overflow",
    );
}

#[test]
fn cve_2021_32626_values_do_not_overflow_the_lua_stack() {
    let nested = "local t = {} for i = 1, 100000 do t = {t} end ";
    for use_of in [
        "return t",
        "return cjson.encode(t)",
        "return cmsgpack.pack(t)",
    ] {
        survives(&format!("{nested}{use_of}"));
    }
    fails_with(
        "return cjson.decode(string.rep('[', 100000))",
        "too many nested data structures",
    );
    survives(
        "cjson.decode_max_depth(2^31 - 1) return #cjson.decode(string.rep('[', 200000) .. string.rep(']', 200000))",
    );
    survives(
        "cjson.encode_max_depth(2^31 - 1) local t = {} for i = 1, 200000 do t = {t} end return #cjson.encode(t)",
    );
    survives(
        "local t = {} for i = 1, 7990 do t[i] = i end return #{redis.pcall('MGET', unpack(t))}",
    );
    survives(
        "local function f(n) if n == 0 then return 1 end return 1 + f(n - 1) end return f(15000)",
    );
    fails_with(
        "local function f() return 1 + f() end return f()",
        "stack overflow",
    );
}

#[test]
fn cve_2022_24735_one_script_cannot_replace_what_another_calls() {
    let engine = Engine::default();
    let reader = Caller::user("reader");
    engine.call(&["ACL", "SETUSER", "reader", "on", "+eval_ro", "~*"]);
    for plant in [
        "redis.call = function() return 'planted' end",
        "rawset(redis, 'call', function() return 'planted' end)",
        "local _, t = pairs(redis) t.call = function() return 'planted' end",
        "getmetatable(redis).__index.call = function() return 'planted' end",
        "setmetatable(redis, {__index = function() return function() return 'planted' end end})",
    ] {
        engine.call_as(&reader, &["EVAL_RO", plant, "0"]);
        assert_eq!(
            eval(&engine, "return redis.call('ECHO', 'x')"),
            Reply::bulk("x"),
            "{plant}"
        );
    }
}

#[test]
fn cve_2022_24736_strange_sources_are_errors() {
    for source in [
        "local a <const> = 1",
        "return ...[1]",
        "::x:: goto x",
        "return function() end()",
        "for",
        "a.b:c = 1",
        "local function f() return f end f().x.y = f",
        "return {[nil] = 1}",
        "x = = 1",
        "return '\\999'",
        "return [==[ x",
        "--[==[",
        "break",
        "return (function(...) return arg end)(1)[0].x",
    ] {
        survives(source);
    }
    let nested = [
        format!("return {}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("return {}{}", "{".repeat(5000), "}".repeat(5000)),
        format!("return {}1", "-".repeat(5000).replace("--", "- -")),
        format!("return {}1", "not ".repeat(5000)),
        format!("return {}'x'", "'a'..".repeat(5000)),
        format!("return {}2", "2^".repeat(5000)),
        format!("{}{}", "do ".repeat(5000), "end ".repeat(5000)),
        format!(
            "{}return 1{}",
            "return function() ".repeat(300),
            " end".repeat(300)
        ),
        format!("local {}x", "x,".repeat(300)),
        format!("local t = {{{}}} return #t", "1,".repeat(300_000)),
        format!("return {}", "1,".repeat(300_000) + "1"),
    ];
    for source in nested {
        survives(&source);
    }
}

#[test]
fn cve_2022_24834_cjson_counts_lengths_in_full() {
    fails_with(
        "local s = string.rep('\\1', 60000000) return cjson.encode(s)",
        "not enough memory",
    );
    fails_with(
        "local s, t = string.rep('x', 10000000), {} for i = 1, 2000 do t[i] = s end return cjson.encode(t)",
        "not enough memory",
    );
}

#[test]
fn cve_2024_31449_tohex_takes_any_number_of_digits() {
    answers("return bit.tohex(-1, -2147483648)", Reply::bulk("FFFFFFFF"));
    for digits in ["2147483647", "-2147483647", "1e300", "-1e300", "0/0", "0"] {
        survives(&format!("return bit.tohex(65535, {digits})"));
    }
    for shift in ["-1", "32", "2^31", "-2^31", "1e300"] {
        survives(&format!(
            "return bit.lshift(1, {shift}) + bit.rol(1, {shift}) + bit.arshift(1, {shift})"
        ));
    }
}

#[test]
fn cve_2024_46981_finalizers_cannot_be_set() {
    fails_with("return newproxy(true)", "nonexistent global variable");
    answers(
        "local ran = 0 do setmetatable({}, {__gc = function() ran = ran + 1 end}) end
         for _ = 1, 5 do collectgarbage() end return ran",
        Reply::Int(0),
    );
    let engine = Engine::default();
    engine.call(&["SCRIPT", "LOAD", "return 1"]);
    eval(
        &engine,
        "setmetatable({}, {__gc = function() while true do end end}) return 1",
    );
    assert_eq!(engine.call(&["SCRIPT", "FLUSH"]), Reply::ok());
    assert_eq!(eval(&engine, "return 1"), Reply::Int(1));
}

#[test]
fn cve_2025_46817_ranges_of_unpack_do_not_overflow() {
    for range in [
        "-2147483648, 2147483647",
        "0, 2147483647",
        "-2147483648, 0",
        "1, 2^31",
        "-1e300, 1e300",
        "-1/0, 1/0",
        "1, 2^53",
    ] {
        fails_with(
            &format!("return #{{unpack({{}}, {range})}}"),
            "too many results to unpack",
        );
    }
    answers(
        "return select('#', unpack({}, -2147483648, -2147483647))",
        Reply::Int(2),
    );
    survives("return unpack({}, 0/0, 0/0)");
    survives(
        "local t = {} t[-2147483648] = 1 t[2147483647] = 2 return {t[-2147483648], t[2147483648], #t}",
    );
    survives("local s = string.rep('x', 100000) return #{s:byte(-2147483648, 2147483647)}");
    survives("return table.concat({}, 'x', -2147483648, 2147483647)");
    survives("return #table.concat({1, 2}, string.rep('x', 1000000), 1, 2)");
    survives("return ('x'):sub(-2147483648, 2147483647)");
    survives("return {select(-2147483648, 1)}");
    survives("return select(2147483647, 1)");
    survives("return string.char(-1)");
    survives("table.insert({}, 2147483647, 1) table.remove({}, -2147483648) return 1");
}

#[test]
fn cve_2025_46818_basic_types_have_no_metatable_to_write() {
    let engine = Engine::default();
    let reader = Caller::user("reader");
    engine.call(&["ACL", "SETUSER", "reader", "on", "+eval_ro", "~*"]);
    for value in [
        "''",
        "1",
        "true",
        "print",
        "nil",
        "redis.call",
        "cjson.null",
        "coroutine.create(function() end)",
    ] {
        let value = value.replace("print", "pairs");
        let plant = format!(
            "local m = getmetatable({value}) if type(m) == 'table' then m.__index = function() return 'planted' end m.__call = m.__index m.__add = m.__index end
             pcall(setmetatable, {value}, {{__index = function() return 'planted' end}}) return type(m)"
        );
        let reply = engine.call_as(&reader, &["EVAL_RO", &plant, "0"]);
        assert!(!reply.is_error(), "{plant}: {reply:?}");
    }
    for read in [
        "return ('x').planted == nil",
        "return not pcall(function() return (1).x end)",
        "return not pcall(function() return (true)() end)",
    ] {
        assert_eq!(eval(&engine, read), Reply::Int(1), "{read}");
    }
}

#[test]
fn cve_2025_46819_long_brackets_are_read_to_their_end() {
    for level in [0, 1, 1000, 1_000_000] {
        let equals = "=".repeat(level);
        answers(&format!("return #[{equals}[x]{equals}]"), Reply::Int(1));
        fails_with(&format!("return [{equals}[x"), "unfinished long string");
        survives(&format!("--[{equals}[x"));
        survives(&format!("return [{equals}"));
    }
}

#[test]
fn cve_2025_49844_a_source_stays_while_it_is_compiled() {
    // Names and constants that nothing else holds, compiled while as much garbage is made as can be.
    answers(
        "collectgarbage('setpause', 0) collectgarbage('setstepmul', 10000)
         local good = 0
         for i = 1, 300 do
           local name = '@' .. string.rep('n', 40) .. i
           local sent = 0
           local f = load(function()
             sent = sent + 1
             collectgarbage()
             for j = 1, 20 do local _ = ('x'):rep(j) .. i end
             if sent == 1 then return 'local a' .. i .. ' = \"' .. ('k'):rep(50) .. i .. '\" ' end
             if sent == 2 then return 'return a' .. i .. ' .. (function() error(\"e' .. i .. '\") end and \"\")' end
           end, name)
           if f() == ('k'):rep(50) .. i then good = good + 1 end
         end
         return good",
        Reply::Int(300),
    );
    fails_with(
        "return load(function() return 'x' end, string.rep('n', 100))",
        "",
    );
    fails_with(
        "return loadstring('error(\"here\")', '@' .. string.rep('n', 100))()",
        "here",
    );
}

#[test]
fn cve_2025_67733_an_error_is_one_line() {
    for script in [
        "return redis.error_reply('ERR a\\r\\n+OK\\r\\n')",
        "return {err = 'ERR a\\r\\n$2\\r\\nxx'}",
        "error('a\\r\\n+OK')",
        "error({err = 'ERR a\\r\\n+OK'})",
        "return redis.status_reply('a\\r\\n+OK')",
        "return {ok = 'a\\n+OK'}",
        "return redis.call('a\\r\\n+OK')",
        "return loadstring('x\\r\\n+OK', '@a\\r\\nb')()",
        "return cjson.decode('\\r\\n+OK')",
    ] {
        let engine = Engine::default();
        match eval(&engine, script) {
            Reply::Error(error) => {
                assert!(
                    !error.message().contains(['\r', '\n']),
                    "{script}: {error:?}"
                );
            }
            Reply::Simple(text) => assert!(!text.contains(['\r', '\n']), "{script}: {text:?}"),
            other => panic!("{script}: {other:?}"),
        }
    }
}

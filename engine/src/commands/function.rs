//! FUNCTION, FCALL, FCALL_RO.

use bytes::Bytes;

use crate::budget::{NOTBUSY, ScriptKind};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Side, Spec};
use crate::error::Error;
use crate::glob;
use crate::lua::{self, LoadedFunction};
use crate::options::Dialect;
use crate::parse::{Walk, is};
use crate::rdb;
use crate::reply::Reply;
use crate::scripting::{Conflict, Library, ScriptFlags, Scripting};

use super::scripting::{check_read_only, keys_and_args, mode};

const KEYS: Keys = Keys::Counted(2);

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("FCALL", -3, Category::Scripting, fcall)
        .keys(KEYS)
        .noscript(),
    Spec::read("FCALL_RO", -3, KEYS, Category::Scripting, fcall_ro).noscript(),
    Spec::other("FUNCTION", -2, Category::Scripting, function).noscript(),
];

fn fcall(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    run(ctx, args, false)
}

/// As Upstash, unlike Redis: over REST also runs functions that do not promise to write nothing.
fn fcall_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    run(ctx, args, true)
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, read_only: bool) -> Outcome {
    const NOT_FOUND: Error = Error::fixed("ERR Function not found");
    let name = std::str::from_utf8(args[1]).map_err(|_| NOT_FOUND)?;
    let function = if let Some(function) = ctx.side.scripting.function(name) {
        function
    } else {
        run_restored(ctx);
        ctx.side.scripting.function(name).ok_or(NOT_FOUND)?
    };
    let (keys, rest) = keys_and_args(args, Error::fixed("ERR Bad number of keys provided"))?;
    let flags = ScriptFlags {
        declared: true,
        no_writes: function.has("no-writes"),
        allow_oom: function.has("allow-oom"),
        allow_key_locking: function.has("allow-key-locking"),
    };
    check_read_only(ctx, flags, read_only)?;
    let vm = ctx.side.vm()?;
    let mode = mode(flags, read_only, keys);
    let _running = ctx.side.budget.begin_script(ScriptKind::Function);
    Ok(vm.run_function(ctx, &function, mode, keys, rest))
}

fn function(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let outcome = subcommand(ctx, args);
    ctx.side.count_functions();
    outcome
}

fn subcommand(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = args[1];
    let arity = |fits: bool| {
        if fits {
            Ok(())
        } else {
            Err(Error::wrong_arity(&format!(
                "function|{}",
                String::from_utf8_lossy(sub)
            )))
        }
    };
    if is(sub, "LOAD") {
        arity(args.len() >= 3)?;
        load(ctx, args)
    } else if is(sub, "LIST") {
        list(ctx, args)
    } else if is(sub, "DELETE") {
        arity(args.len() == 3)?;
        ctx.may_change()?;
        let known =
            std::str::from_utf8(args[2]).is_ok_and(|name| ctx.side.scripting.remove_library(name));
        if known {
            ctx.db.counters.changes += 1;
            ctx.db.effects.record_command();
            Ok(Reply::ok())
        } else {
            Err(Error::fixed("ERR Library not found"))
        }
    } else if is(sub, "FLUSH") {
        match args[2..] {
            [] => {}
            [how] if is(how, "ASYNC") || is(how, "SYNC") => {}
            [_] => {
                return Err(Error::fixed(
                    "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
                ));
            }
            _ => {
                return Err(Error::fixed(
                    "ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.",
                ));
            }
        }
        ctx.may_change()?;
        ctx.side.scripting.flush_libraries();
        ctx.db.counters.changes += 1;
        ctx.db.effects.record_command();
        Ok(Reply::ok())
    } else if is(sub, "STATS") {
        arity(args.len() == 2)?;
        let scripting = &ctx.side.scripting;
        let counts = [
            Reply::bulk("libraries_count"),
            Reply::len(scripting.libraries().count()),
            Reply::bulk("functions_count"),
            Reply::len(scripting.function_count()),
        ];
        let engines = Reply::array([Reply::bulk("LUA"), Reply::array(counts)]);
        Ok(Reply::array([
            Reply::bulk("running_script"),
            Reply::Nil,
            Reply::bulk("engines"),
            engines,
        ]))
    } else if ctx.side.dialect == Dialect::Redis && is(sub, "DUMP") {
        arity(args.len() == 2)?;
        let codes = ctx.side.scripting.libraries().map(|library| &*library.code);
        Ok(Reply::Bulk(rdb::dump_libraries(codes).into()))
    } else if ctx.side.dialect == Dialect::Redis && is(sub, "RESTORE") {
        arity(args.len() >= 3)?;
        restore(ctx, &args[2..])
    } else if is(sub, "KILL") {
        arity(args.len() == 2)?;
        Err(NOTBUSY)
    } else {
        Err(Error::new(format!(
            "ERR unknown subcommand '{}'. Try FUNCTION HELP.",
            String::from_utf8_lossy(&sub[..sub.len().min(128)])
        )))
    }
}

fn load(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut replace = false;
    for option in &args[2..args.len() - 1] {
        if !is(option, "REPLACE") {
            return Err(Error::new(format!(
                "ERR Unknown option given: {}",
                String::from_utf8_lossy(option)
            )));
        }
        replace = true;
    }
    ctx.may_change()?;
    let code = args[args.len() - 1];
    let (name, body) = metadata(code)?;
    ctx.side.scripting.check_name(&name, replace)?;
    let functions = run_library(ctx, code, body)?;
    let library = Library {
        name: name.clone(),
        code: Bytes::copy_from_slice(code),
        functions,
    };
    let added = ctx.make_room(1);
    let added = added.and_then(|()| ctx.side.scripting.add_library(library));
    added.inspect_err(|_| ctx.side.scripting.collect_kept())?;
    ctx.db.counters.changes += 1;
    ctx.db.effects.record_command();
    Ok(Reply::bulk(name))
}

/// The functions of a library that has room.
fn run_library(ctx: &mut Ctx<'_>, code: &[u8], body: &[u8]) -> Result<Vec<LoadedFunction>, Error> {
    let cost = Scripting::cost(code.len());
    ctx.make_room(cost)?;
    let all = ctx.side.scripting.code_weight() + cost;
    ctx.side.vm()?.load_library(body, all)
}

/// FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE]: all libraries or none.
fn restore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let conflict = match args {
        [_] => Conflict::Fail,
        [_, policy] if is(policy, "APPEND") => Conflict::Fail,
        [_, policy] if is(policy, "REPLACE") => Conflict::Replace,
        [_, policy] if is(policy, "FLUSH") => Conflict::Flush,
        [_, _] => {
            return Err(Error::fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
        _ => {
            return Err(Error::fixed(
                "ERR unknown subcommand or wrong number of arguments for 'restore'. Try FUNCTION HELP.",
            ));
        }
    };
    ctx.may_change()?;
    let payload = args[0];
    if !rdb::is_sound(payload) {
        return Err(Error::fixed(
            "ERR DUMP payload version or checksum are wrong",
        ));
    }
    let most = ctx.side.options.memory_limit.unwrap_or(usize::MAX);
    let codes = rdb::restore_libraries(payload, most)
        .map_err(|rdb::Malformed| Error::fixed("ERR given type is not a function"))?;
    let outcome = run_libraries(ctx, codes).and_then(|libraries| {
        ctx.make_room(1)?;
        ctx.side.scripting.restore(libraries, conflict)
    });
    outcome.inspect_err(|_| ctx.side.scripting.collect_kept())?;
    ctx.db.counters.changes += 1;
    ctx.db.effects.record_command();
    Ok(Reply::ok())
}

fn run_libraries(ctx: &mut Ctx<'_>, codes: Vec<Bytes>) -> Result<Vec<Library>, Error> {
    let run = |code: Bytes| {
        let (name, body) = metadata(&code)?;
        let functions = run_library(ctx, &code, body)?;
        Ok(Library {
            name,
            code,
            functions,
        })
    };
    codes.into_iter().map(run).collect()
}

/// Adds a library from a snapshot. Its code is kept also if it cannot be run now.
pub(crate) fn restore_library(side: &mut Side, code: &[u8]) -> Result<(), Error> {
    let (name, body) = metadata(code)?;
    let all = side.scripting.code_weight() + Scripting::cost(code.len());
    let functions = side.vm().and_then(|vm| vm.load_library(body, all));
    let library = |functions| Library {
        name: name.clone(),
        code: Bytes::copy_from_slice(code),
        functions,
    };
    if side
        .scripting
        .add_library(library(functions.unwrap_or_default()))
        .is_err()
    {
        side.scripting.add_library(library(Vec::new()))?;
    }
    Ok(())
}

/// Runs the libraries of a snapshot that could not be run when it was loaded.
fn run_restored(ctx: &mut Ctx<'_>) {
    let waiting = ctx.side.scripting.libraries();
    let waiting = waiting.filter(|library| library.functions.is_empty());
    let waiting: Vec<Bytes> = waiting.map(|library| library.code.clone()).collect();
    for code in waiting {
        if ctx.side.budget.check().is_ok() {
            // What fails again stays as it is; the function is then not found.
            let _ = restore_library(ctx.side, &code);
        }
    }
}

/// The library's name from its first line, and the code after it.
fn metadata(code: &[u8]) -> Result<(String, &[u8]), Error> {
    if !code.starts_with(b"#!") {
        return Err(Error::fixed("ERR Missing library metadata"));
    }
    let end = code
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(Error::fixed("ERR Invalid library metadata"))?;
    let line = String::from_utf8_lossy(&code[2..end]).into_owned();
    let (engine, rest) = line.split_once(' ').unwrap_or((line.trim_end(), ""));
    let parts = rest.split_ascii_whitespace();
    let mut name: Option<String> = None;
    for part in parts {
        let Some(value) = part.strip_prefix("name=") else {
            return Err(Error::new(format!(
                "ERR Invalid metadata value given: {part}"
            )));
        };
        if name.is_some() {
            return Err(Error::fixed(
                "ERR Invalid metadata value, name argument was given multiple times",
            ));
        }
        let unquoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        name = Some(unquoted.unwrap_or(value).to_owned());
    }
    let name = name.ok_or(Error::fixed("ERR Library name was not given"))?;
    if !lua::is_name(&name) {
        return Err(Error::fixed(lua::BAD_NAME));
    }
    if !engine.eq_ignore_ascii_case("lua") {
        return Err(Error::new(format!("ERR Engine '{engine}' not found")));
    }
    Ok((name, &code[end..]))
}

fn list(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (mut with_code, mut pattern) = (false, None);
    let mut walk = Walk::new(args, 2);
    while let Some(option) = walk.take() {
        if is(option, "WITHCODE") && !with_code {
            with_code = true;
        } else if is(option, "LIBRARYNAME") && pattern.is_none() {
            pattern = Some(
                walk.take()
                    .ok_or(Error::fixed("ERR library name argument was not given"))?,
            );
        } else {
            return Err(Error::new(format!(
                "ERR Unknown argument {}",
                String::from_utf8_lossy(option)
            )));
        }
    }
    run_restored(ctx);
    let libraries = ctx.side.scripting.libraries();
    let chosen = libraries.filter(|library| {
        pattern
            .is_none_or(|pattern| glob::matches(pattern, library.name.as_bytes(), &ctx.side.budget))
    });
    Ok(Reply::array(
        chosen.map(|library| describe(library, with_code)),
    ))
}

fn describe(library: &Library, with_code: bool) -> Reply {
    let functions = library.functions.iter().map(|function| {
        let flags = function.flags.iter().map(|flag| Reply::simple(flag));
        Reply::array([
            Reply::bulk("name"),
            Reply::bulk(&function.name),
            Reply::bulk("description"),
            function
                .description
                .as_ref()
                .map_or(Reply::Nil, Reply::bulk),
            Reply::bulk("flags"),
            Reply::array(flags),
        ])
    });
    let mut fields = vec![
        Reply::bulk("library_name"),
        Reply::bulk(&library.name),
        Reply::bulk("engine"),
        Reply::bulk("LUA"),
        Reply::bulk("functions"),
        Reply::array(functions),
    ];
    if with_code {
        fields.push(Reply::bulk("library_code"));
        fields.push(Reply::Bulk(library.code.clone()));
    }
    Reply::Array(fields)
}

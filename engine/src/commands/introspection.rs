//! What clients and tools of the Redis protocol ask about a server: COMMAND, OBJECT, SLOWLOG, and
//! what is always empty here.

use crate::acl::{CATEGORIES, in_category};
use crate::command::{Args, Category, Command, Flags, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::Error;
use crate::num;
use crate::options::Dialect;
use crate::parse::{self, is};
use crate::reply::Reply;
use crate::slowlog;
use crate::value::Value;

/// Upstash tells nothing about its commands; Redis does.
fn command(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let redis = ctx.side.dialect == Dialect::Redis;
    let commands = ctx.side.table.commands().iter();
    let offered = commands.filter(|command| ctx.side.offers(command));
    match &args[1..] {
        [sub] if is(sub, "COUNT") => Ok(Reply::len(offered.count())),
        _ if !redis => Ok(Reply::empty()),
        [] => Ok(Reply::array(offered.map(|command| info(command)))),
        [sub] if is(sub, "LIST") => {
            Ok(Reply::array(offered.map(|command| {
                Reply::bulk(command.name.to_ascii_lowercase())
            })))
        }
        [sub] if is(sub, "INFO") => Ok(Reply::array(offered.map(|command| info(command)))),
        [sub, names @ ..] if is(sub, "INFO") => {
            let known = |name: &&[u8]| {
                let spec = ctx.side.table.find(name);
                let spec = spec.filter(|spec| ctx.side.offers(&spec.command));
                spec.map_or(Reply::NilArray, |spec| info(&spec.command))
            };
            Ok(Reply::array(names.iter().map(known)))
        }
        // Texts about commands are kept by the tools that show them.
        [sub, ..] if is(sub, "DOCS") => Ok(Reply::empty()),
        [sub, first, rest @ ..] if is(sub, "GETKEYS") => {
            let spec = ctx.side.table.find(first);
            let spec = spec.ok_or(Error::fixed("ERR Invalid command specified"))?;
            let call = &args[2..];
            if !spec.command.fits(call) {
                return Err(Error::fixed(
                    "ERR Invalid number of arguments specified for command",
                ));
            }
            let mut keys = Vec::new();
            spec.command.keys.each(call, |at| {
                keys.extend(rest.get(at.wrapping_sub(1)).map(Reply::bulk));
            });
            if keys.is_empty() {
                return Err(Error::fixed("ERR The command has no key arguments"));
            }
            Ok(Reply::Array(keys))
        }
        [sub, ..] => {
            let known = ["COUNT", "LIST", "GETKEYS"];
            if known.iter().any(|known| is(sub, known)) {
                let sub = String::from_utf8_lossy(sub);
                return Err(Error::wrong_arity(&format!("command|{sub}")));
            }
            Err(Error::new(format!(
                "ERR unknown subcommand '{}'. Try COMMAND HELP.",
                String::from_utf8_lossy(&sub[..sub.len().min(128)])
            )))
        }
    }
}

/// A command as COMMAND INFO shows it.
fn info(command: &Command) -> Reply {
    let flags = [
        (Flags::WRITE, "write"),
        (Flags::READ, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::FAST, "fast"),
    ];
    let flags = flags.iter().filter(|(flag, _)| command.flags.has(*flag));
    let mut flags: Vec<Reply> = flags.map(|(_, name)| Reply::simple(name)).collect();
    let (first, last, step) = match command.keys {
        Keys::Range { first, last, step } => (i64::from(first), i64::from(last), i64::from(step)),
        Keys::DestCounted(_) => (1, 1, 1),
        Keys::None | Keys::Counted(_) | Keys::Found(_) => (0, 0, 0),
    };
    if !matches!(command.keys, Keys::None | Keys::Range { .. }) {
        flags.push(Reply::simple("movablekeys"));
    }
    let categories = CATEGORIES.iter().filter(|name| in_category(command, name));
    Reply::array([
        Reply::bulk(command.name.to_ascii_lowercase()),
        Reply::Int(i64::from(command.arity)),
        Reply::Array(flags),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        Reply::array(categories.map(|name| Reply::Simple(format!("@{name}").into()))),
        Reply::empty(),
        Reply::empty(),
        Reply::empty(),
    ])
}

fn object(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let [_, sub, key] = args else {
        return Err(Error::wrong_arity("object"));
    };
    let Some(value) = ctx.db.value(key) else {
        return Ok(Reply::Nil);
    };
    if is(sub, "ENCODING") {
        return Ok(Reply::bulk(encoding(value)));
    }
    if is(sub, "REFCOUNT") {
        return Ok(Reply::Int(1));
    }
    if is(sub, "FREQ") {
        return Err(Error::fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    if is(sub, "IDLETIME") {
        return Err(Error::fixed("ERR idle times of keys are not kept"));
    }
    Err(Error::new(format!(
        "ERR unknown subcommand '{}'. Try OBJECT HELP.",
        String::from_utf8_lossy(&sub[..sub.len().min(128)])
    )))
}

/// The name that Redis has for the way a value is kept.
fn encoding(value: &Value) -> &'static str {
    /// The longest string that Redis keeps beside its header.
    const EMBEDDED: usize = 44;
    match value {
        Value::Str(text) if num::parse_i64(text).is_some() => "int",
        Value::Str(text) if text.len() <= EMBEDDED => "embstr",
        Value::List(list) if list.is_packed() => "listpack",
        Value::List(_) => "quicklist",
        Value::Hash(hash) if hash.is_packed() => "listpack",
        Value::Hash(_) => "hashtable",
        Value::Set(set) => set.encoding(),
        Value::ZSet(zset) if zset.is_packed() => "listpack",
        Value::ZSet(_) => "skiplist",
        Value::Stream(_) => "stream",
        _ => "raw",
    }
}

/// There are no modules.
fn module(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_, sub] if is(sub, "LIST") => Ok(Reply::empty()),
        _ => Err(Error::fixed("ERR modules cannot be loaded")),
    }
}

/// Latencies of events are not kept.
fn latency(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = args[1];
    if is(sub, "RESET") {
        Ok(Reply::Int(0))
    } else if is(sub, "LATEST") || is(sub, "HISTORY") {
        Ok(Reply::empty())
    } else {
        Err(Error::unknown_subcommand(sub))
    }
}

/// Entries that SLOWLOG GET shows unless told otherwise.
const SLOW_SHOWN: usize = 10;

fn slowlog(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let slow = &mut ctx.side.slow;
    match &args[1..] {
        [sub] if is(sub, "LEN") => Ok(Reply::len(slow.len())),
        [sub] if is(sub, "RESET") => {
            slow.clear();
            Ok(Reply::ok())
        }
        [sub, count @ ..] if is(sub, "GET") && count.len() <= 1 => {
            let count = match count.first() {
                None => SLOW_SHOWN,
                Some(count) => match parse::int(count)? {
                    -1 => usize::MAX,
                    count => usize::try_from(count).map_err(|_| {
                        Error::fixed("ERR count should be greater than or equal to -1")
                    })?,
                },
            };
            let entry = |entry: &slowlog::Entry| {
                Reply::array([
                    Reply::Int(entry.id as i64),
                    Reply::Int(entry.at as i64),
                    Reply::Int(i64::try_from(entry.took.as_micros()).unwrap_or(i64::MAX)),
                    Reply::array(entry.args.iter().cloned().map(Reply::Bulk)),
                    // Address and name of the client: the engine knows none.
                    Reply::bulk(""),
                    Reply::bulk(""),
                ])
            };
            Ok(Reply::array(slow.newest(count).map(entry)))
        }
        [sub, ..] if ["GET", "LEN", "RESET"].iter().any(|known| is(sub, known)) => {
            let sub = String::from_utf8_lossy(sub).to_ascii_lowercase();
            Err(Error::wrong_arity(&format!("slowlog|{sub}")))
        }
        [sub, ..] => Err(Error::new(format!(
            "ERR unknown subcommand '{}'. Try SLOWLOG HELP.",
            String::from_utf8_lossy(&sub[..sub.len().min(128)])
        ))),
        [] => Err(Error::wrong_arity("slowlog")),
    }
}

fn role(_ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    Ok(Reply::array([
        Reply::bulk("master"),
        Reply::Int(0),
        Reply::empty(),
    ]))
}

const OBJECT_KEY: Keys = Keys::Range {
    first: 2,
    last: 2,
    step: 1,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("COMMAND", -1, Category::Server, command).always(),
    Spec::other("LATENCY", -2, Category::Server, latency)
        .admin()
        .redis_only(),
    Spec::other("MODULE", -2, Category::Server, module)
        .admin()
        .redis_only(),
    Spec::read("OBJECT", -3, OBJECT_KEY, Category::Keyspace, object).redis_only(),
    Spec::other("ROLE", 1, Category::Server, role)
        .admin()
        .redis_only(),
    Spec::other("SLOWLOG", -2, Category::Server, slowlog)
        .admin()
        .redis_only(),
];

//! Commands about the server as a whole.

use std::fmt::Write as _;

use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::glob;
use crate::options::{Dialect, Eviction};
use crate::parse;
use crate::reply::Reply;

/// The version of Redis whose behaviour is offered.
const REDIS_VERSION: &str = "8.2.0";

fn dbsize(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    Ok(Reply::len(ctx.db.len()))
}

fn flush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_] => {}
        [_, mode] if parse::is(mode, "ASYNC") || parse::is(mode, "SYNC") => {}
        _ => return Err(SYNTAX),
    }
    ctx.db.clear();
    Ok(Reply::ok())
}

fn time(ctx: &mut Ctx<'_>, _args: Args<'_>) -> Outcome {
    let now = ctx.side.options.clock.now();
    Ok(Reply::Array(vec![
        Reply::bulk(now.as_secs().to_string()),
        Reply::bulk(now.subsec_micros().to_string()),
    ]))
}

const SECTIONS: [&str; 6] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "keyspace",
];

fn section(ctx: &Ctx<'_>, name: &str, out: &mut String) {
    let title = format!("{}{}", name[..1].to_ascii_uppercase(), &name[1..]);
    let (db, side) = (&ctx.db, &ctx.side);
    let limit = side.options.memory_limit.unwrap_or(0);
    let uptime = side
        .options
        .clock
        .now()
        .saturating_sub(side.started)
        .as_secs();
    // Writing to a String cannot fail.
    let _ = match name {
        "server" => write!(
            out,
            "# {title}\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nserver_name:restis\r\nserver_version:{}\r\nuptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n",
            env!("CARGO_PKG_VERSION"),
            uptime / 86_400,
        ),
        "clients" => write!(
            out,
            "# {title}\r\npubsub_channels:{}\r\npubsub_patterns:{}\r\n",
            side.hub.channels(b"*", &side.budget).len(),
            side.hub.patterns(),
        ),
        "memory" => write!(
            out,
            "# {title}\r\nused_memory:{}\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{}\r\nnumber_of_cached_scripts:{}\r\nnumber_of_functions:{}\r\nnumber_of_libraries:{}\r\n",
            db.used() + side.weight(),
            policy(side.options.eviction),
            side.scripting.script_count(),
            side.scripting.function_count(),
            side.scripting.libraries().count(),
        ),
        "persistence" => write!(
            out,
            "# {title}\r\nloading:0\r\nchanges:{}\r\n",
            db.counters.changes,
        ),
        "stats" => write!(
            out,
            "# {title}\r\ntotal_commands_processed:{}\r\nexpired_keys:{}\r\nevicted_keys:{}\r\nkeyspace_hits:{}\r\nkeyspace_misses:{}\r\n",
            side.commands,
            db.counters.expired,
            db.counters.evicted,
            db.counters.hits.get(),
            db.counters.misses.get(),
        ),
        _ if db.len() == 0 => write!(out, "# {title}\r\n"),
        _ => write!(
            out,
            "# {title}\r\ndb0:keys={},expires={},avg_ttl=0\r\n",
            db.len(),
            db.volatile_len(),
        ),
    };
}

fn info(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let wanted = &args[1..];
    let all = wanted.is_empty()
        || wanted.iter().any(|word| {
            ["all", "default", "everything"]
                .iter()
                .any(|all| parse::is(word, all))
        });
    let mut out = String::new();
    for name in SECTIONS {
        if all || wanted.iter().any(|word| parse::is(word, name)) {
            if !out.is_empty() {
                out.push_str("\r\n");
            }
            section(ctx, name, &mut out);
        }
    }
    Ok(Reply::bulk(out))
}

/// The one parameter Upstash knows.
const NOTIFY: &str = "notify-keyspace-events";

/// The letters of notification classes, in the order CONFIG GET shows them.
const CLASSES: [(char, Event); 11] = [
    ('g', Event::GENERIC),
    ('$', Event::STRING),
    ('l', Event::LIST),
    ('s', Event::SET),
    ('h', Event::HASH),
    ('z', Event::ZSET),
    ('x', Event::EXPIRED),
    ('e', Event::EVICTED),
    ('t', Event::STREAM),
    ('d', Event::MODULE),
    ('n', Event::NEW),
];

/// What `A` stands for: every class but `m` and `n`.
fn all_classes() -> u32 {
    CLASSES
        .iter()
        .filter(|(letter, _)| *letter != 'n')
        .fold(0, |flags, (_, class)| flags | class.0)
}

fn notify_flags(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |flags, &byte| {
        let flag = match char::from(byte) {
            'A' => all_classes(),
            'K' => Event::KEYSPACE.0,
            'E' => Event::KEYEVENT.0,
            'm' => Event::KEY_MISS.0,
            other => CLASSES.iter().find(|(letter, _)| *letter == other)?.1.0,
        };
        Some(flags | flag)
    })
}

fn notify_text(flags: u32) -> String {
    let mut text = String::new();
    let all = all_classes();
    if flags & all == all {
        text.push('A');
    }
    for (letter, class) in CLASSES {
        if flags & class.0 != 0 && (flags & all != all || letter == 'n') {
            text.push(letter);
        }
    }
    for (letter, class) in [
        ('K', Event::KEYSPACE),
        ('E', Event::KEYEVENT),
        ('m', Event::KEY_MISS),
    ] {
        if flags & class.0 != 0 {
            text.push(letter);
        }
    }
    text
}

const fn policy(eviction: Eviction) -> &'static str {
    match eviction {
        Eviction::NoEviction => "noeviction",
        Eviction::OptimisticVolatile => "optimistic-volatile",
    }
}

/// The settings there are to see. Redis has many more; these are what its clients ask for.
fn parameters(ctx: &Ctx<'_>) -> Vec<(&'static str, String)> {
    let notify = (NOTIFY, notify_text(ctx.db.notify_flags()));
    if ctx.side.dialect == Dialect::Upstash {
        return vec![notify];
    }
    let options = &ctx.side.options;
    if options.debug_commands {
        let kept = ctx.side.settings.iter();
        let mut all: Vec<_> = kept.map(|(name, value)| (name, value.to_owned())).collect();
        all.push(notify);
        return all;
    }
    let memory = options.memory_limit.unwrap_or(0);
    let text = str::to_owned;
    vec![
        ("appendonly", text("no")),
        ("databases", text("1")),
        ("maxmemory", memory.to_string()),
        ("maxmemory-policy", text(policy(options.eviction))),
        notify,
        ("proto-max-bulk-len", (512_u64 << 20).to_string()),
        ("save", String::new()),
        ("slowlog-log-slower-than", text("-1")),
        ("slowlog-max-len", text("0")),
        ("timeout", text("0")),
    ]
}

fn config(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_, sub, patterns @ ..] if parse::is(sub, "GET") && !patterns.is_empty() => {
            let patterns: Vec<_> = patterns.iter().map(|p| p.to_ascii_lowercase()).collect();
            let mut pairs = Vec::new();
            for (name, value) in parameters(ctx) {
                let fits =
                    |pattern: &Vec<u8>| glob::matches(pattern, name.as_bytes(), &ctx.side.budget);
                if patterns.iter().any(fits) {
                    pairs.extend([Reply::bulk(name), Reply::bulk(value)]);
                }
            }
            Ok(Reply::Array(pairs))
        }
        [_, sub] if ctx.side.dialect == Dialect::Redis && parse::is(sub, "RESETSTAT") => {
            Ok(Reply::ok())
        }
        [_, sub, pairs @ ..]
            if parse::is(sub, "SET") && !pairs.is_empty() && pairs.len() % 2 == 0 =>
        {
            let mut flags = ctx.db.notify_flags();
            for pair in pairs.chunks_exact(2) {
                if !parse::is(pair[0], NOTIFY) {
                    if ctx.side.settings.set(pair[0], pair[1]) {
                        continue;
                    }
                    return Err(Error::new(format!(
                        "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                        String::from_utf8_lossy(pair[0])
                    )));
                }
                flags = notify_flags(pair[1]).ok_or(Error::fixed(
                    "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
                ))?;
            }
            ctx.db.set_notify_flags(flags);
            Ok(Reply::ok())
        }
        [_, sub, ..] if parse::is(sub, "GET") => Err(Error::wrong_arity("config|get")),
        [_, sub, ..] if parse::is(sub, "SET") => Err(Error::wrong_arity("config|set")),
        [_, sub, ..] => Err(Error::unknown_subcommand(sub)),
        [..] => Err(Error::wrong_arity("config")),
    }
}

fn memory(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args {
        [_, sub, key, rest @ ..] if parse::is(sub, "USAGE") => {
            match rest {
                [] => {}
                [word, count] if parse::is(word, "SAMPLES") => {
                    if parse::int(count)? < 0 {
                        return Err(SYNTAX);
                    }
                }
                _ => return Err(SYNTAX),
            }
            Ok(ctx.db.weight(key).map_or(Reply::Nil, Reply::len))
        }
        [_, sub] if parse::is(sub, "USAGE") => Err(Error::wrong_arity("memory|usage")),
        [_, sub, ..] => Err(Error::unknown_subcommand(sub)),
        [..] => Err(Error::wrong_arity("memory")),
    }
}

/// Nothing is replicated: every write is everywhere at once.
fn wait(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    parse::int(args[1])?;
    timeout(args[2])?;
    Ok(Reply::Int(0))
}

fn waitaof(_ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    parse::int(args[1])?;
    parse::int(args[2])?;
    timeout(args[3])?;
    Ok(Reply::Array(vec![Reply::Int(0), Reply::Int(0)]))
}

fn timeout(text: &[u8]) -> Result<(), Error> {
    let timeout = parse::int_or(
        text,
        Error::fixed("ERR timeout is not an integer or out of range"),
    )?;
    if timeout < 0 {
        return Err(Error::fixed("ERR timeout is negative"));
    }
    Ok(())
}

const MEMORY_KEYS: Keys = Keys::Range {
    first: 2,
    last: 2,
    step: 1,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("CONFIG", -2, Category::Server, config)
        .admin()
        .noscript(),
    Spec::read("DBSIZE", 1, Keys::None, Category::Keyspace, dbsize).fast(),
    Spec::write("FLUSHALL", -1, Keys::None, Category::Keyspace, flush).dangerous(),
    Spec::write("FLUSHDB", -1, Keys::None, Category::Keyspace, flush).dangerous(),
    Spec::other("INFO", -1, Category::Server, info)
        .dangerous()
        .always(),
    Spec::read("MEMORY", -2, MEMORY_KEYS, Category::Keyspace, memory),
    Spec::other("TIME", 1, Category::Server, time)
        .fast()
        .always(),
    Spec::other("WAIT", 3, Category::Connection, wait).always(),
    Spec::other("WAITAOF", 4, Category::Connection, waitaof).always(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;

    #[test]
    fn notification_classes_survive_config_set_and_get() {
        let engine = Engine::default();
        for (given, shown) in [
            ("KEA", "AKE"),
            ("Kx", "xK"),
            ("g$lshzxetdE", "AE"),
            ("", ""),
        ] {
            assert_eq!(engine.call(&["CONFIG", "SET", NOTIFY, given]), Reply::ok());
            assert_eq!(
                engine.call(&["CONFIG", "GET", "notify*"]),
                Reply::array([Reply::bulk(NOTIFY), Reply::bulk(shown)])
            );
        }
        assert!(engine.call(&["CONFIG", "SET", NOTIFY, "?"]).is_error());
    }

    #[test]
    fn info_shows_the_sections_asked_for() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "v", "EX", "10"]);
        let Reply::Bulk(all) = engine.call(&["INFO"]) else {
            panic!("INFO answers a bulk string");
        };
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(all.contains("# Server\r\n") && all.contains("db0:keys=1,expires=1"));
        let Reply::Bulk(one) = engine.call(&["INFO", "Memory"]) else {
            panic!("INFO answers a bulk string");
        };
        assert!(one.starts_with(b"# Memory\r\nused_memory:"));
    }
}

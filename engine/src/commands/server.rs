//! Commands about the server as a whole.

use std::time::Duration;

use super::info::info;
use super::persistence;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::glob;
use crate::num;
use crate::options::Dialect;
use crate::parse;
use crate::reply::Reply;
use crate::slowlog;

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

/// The one parameter Upstash knows.
const NOTIFY: &str = "notify-keyspace-events";
const SLOWER_THAN: &str = "slowlog-log-slower-than";
const SLOW_MOST: &str = "slowlog-max-len";

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
        all.push((SLOWER_THAN, slower_than(ctx.side.slow.threshold)));
        all.push((SLOW_MOST, ctx.side.slow.most.to_string()));
        return all;
    }
    let memory = options.memory_limit.unwrap_or(0);
    let text = str::to_owned;
    let [appendfsync, appendonly] = persistence::parameters(ctx);
    vec![
        appendfsync,
        appendonly,
        ("databases", text("1")),
        ("maxmemory", memory.to_string()),
        ("maxmemory-policy", text(options.eviction.name())),
        notify,
        ("proto-max-bulk-len", (512_u64 << 20).to_string()),
        ("save", String::new()),
        (SLOWER_THAN, slower_than(ctx.side.slow.threshold)),
        (SLOW_MOST, ctx.side.slow.most.to_string()),
        ("timeout", text("0")),
    ]
}

/// Why no parameter was changed.
fn set_failed(name: &[u8], reason: &str) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]).to_ascii_lowercase();
    Error::new(format!(
        "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    ))
}

/// A parameter and what it is set to.
enum Change {
    Notify(u32),
    SlowerThan(Option<Duration>),
    SlowMost(usize),
    /// A setting that is only kept, for programs that read it back.
    Kept(Vec<u8>, Vec<u8>),
}

impl Change {
    fn of(ctx: &Ctx<'_>, name: &[u8], value: &[u8]) -> Result<Self, Error> {
        let failed = |reason: &str| set_failed(name, reason);
        if parse::is(name, NOTIFY) {
            let flags = notify_flags(value);
            return flags
                .map(Self::Notify)
                .ok_or_else(|| failed("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."));
        }
        let redis = ctx.side.dialect == Dialect::Redis;
        let number = || {
            let reason = "argument couldn't be parsed into an integer";
            parse::int(value).map_err(|_| failed(reason))
        };
        if redis && parse::is(name, SLOWER_THAN) {
            let micros = number()?;
            if micros < -1 {
                return Err(failed(
                    "argument must be between -1 and 9223372036854775807 inclusive",
                ));
            }
            return Ok(Self::SlowerThan(
                u64::try_from(micros).ok().map(Duration::from_micros),
            ));
        }
        if redis && parse::is(name, SLOW_MOST) {
            let most = usize::try_from(number()?).ok();
            let most = most.filter(|most| *most <= slowlog::MOST);
            let reason = || failed("argument must be between 0 and 1024 inclusive");
            return most.map(Self::SlowMost).ok_or_else(reason);
        }
        if let Some(outcome) = ctx.side.settings.check(name, value) {
            outcome.map_err(failed)?;
            return Ok(Self::Kept(name.to_vec(), value.to_vec()));
        }
        Err(Error::new(format!(
            "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
            String::from_utf8_lossy(name)
        )))
    }

    fn apply(self, ctx: &mut Ctx<'_>) {
        match self {
            Self::Notify(flags) => ctx.db.set_notify_flags(flags),
            Self::SlowerThan(threshold) => ctx.side.slow.threshold = threshold,
            Self::SlowMost(most) => ctx.side.slow.set_most(most),
            Self::Kept(name, value) => {
                let busy = ["busy-reply-threshold", "lua-time-limit"];
                let number = num::parse_i64(&value).and_then(|n| u64::try_from(n).ok());
                if let (true, Some(after)) = (busy.iter().any(|n| parse::is(&name, n)), number) {
                    ctx.side.budget.set_busy_after(after);
                }
                ctx.side.settings.set(&name, &value);
            }
        }
    }
}

fn slower_than(threshold: Option<Duration>) -> String {
    threshold.map_or_else(|| "-1".to_owned(), |time| time.as_micros().to_string())
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
            ctx.side.stats.reset();
            ctx.db.counters.reset();
            Ok(Reply::ok())
        }
        [_, sub, pairs @ ..]
            if parse::is(sub, "SET") && !pairs.is_empty() && pairs.len() % 2 == 0 =>
        {
            let mut changes = Vec::with_capacity(pairs.len() / 2);
            for (at, pair) in pairs.chunks_exact(2).enumerate() {
                let mut before = pairs.chunks_exact(2).take(at);
                if before.any(|other| other[0].eq_ignore_ascii_case(pair[0])) {
                    return Err(set_failed(pair[0], "duplicate parameter"));
                }
                changes.push(Change::of(ctx, pair[0], pair[1])?);
            }
            for change in changes {
                change.apply(ctx);
            }
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

fn waitaof(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    parse::int(args[1])?;
    parse::int(args[2])?;
    timeout(args[3])?;
    let log = ctx.side.log.as_ref();
    let synced = log.is_some_and(|log| log.status().synced);
    Ok(Reply::Array(vec![Reply::bool(synced), Reply::Int(0)]))
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

//! Strings.

use bytes::Bytes;

use super::expire::ExpiryOption;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NAN_OR_INF, NOT_FLOAT, NOT_INTEGER, OVERFLOW, SYNTAX, TOO_LONG};
use crate::longdouble::LongDouble;
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::text::Str;
use crate::value::Value;

/// The longest string, as in Redis (`proto-max-bulk-len`).
pub(crate) const LONGEST: usize = 512 * 1024 * 1024;

pub(super) fn copied(bytes: &[u8]) -> Value {
    Value::Str(bytes.into())
}

fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::text(ctx.db.read::<Str>(args[1])?.map(Str::text)))
}

fn getdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let old = Reply::text(ctx.db.read::<Str>(args[1])?.map(Str::text));
    if ctx.db.remove(args[1]) {
        ctx.db.notify(Event::GENERIC, "del", args[1]);
    }
    Ok(old)
}

fn getset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let old = Reply::text(ctx.db.read::<Str>(args[1])?.map(Str::text));
    ctx.db.put(args[1], copied(args[2]));
    ctx.db.notify(Event::STRING, "set", args[1]);
    Ok(old)
}

fn getex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut walk = Walk::new(args, 2);
    let mut expiry = ExpiryOption::Unset;
    while !walk.is_empty() {
        if walk.word("PERSIST") {
            expiry.choose(ExpiryOption::Persist)?;
        } else if !expiry.take(&mut walk)? {
            return Err(SYNTAX);
        }
    }
    // A missing key answers before the time is looked at.
    let Some(value) = ctx.db.read::<Str>(key)?.map(Str::to_bytes) else {
        return Ok(Reply::Nil);
    };
    match expiry.at(ctx.now(), "getex")? {
        None if matches!(expiry, ExpiryOption::Persist) && ctx.db.expiry(key) != Some(0) => {
            ctx.db.set_expiry(key, 0);
            ctx.db.notify(Event::GENERIC, "persist", key);
        }
        None => {}
        Some(at) if at <= ctx.now() => {
            ctx.db.remove(key);
            ctx.db.notify(Event::GENERIC, "del", key);
        }
        Some(at) => {
            ctx.db.set_expiry(key, at);
            ctx.db.notify(Event::GENERIC, "expire", key);
        }
    }
    Ok(Reply::Bulk(value))
}

fn append(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, tail) = (args[1], args[2]);
    let len = if let Some(bytes) = ctx.db.write::<Str>(key)? {
        if bytes.len() + tail.len() > LONGEST {
            return Err(TOO_LONG);
        }
        bytes.edit(|buffer| buffer.extend_from_slice(tail));
        bytes.len()
    } else {
        ctx.db.put(key, copied(tail));
        tail.len()
    };
    ctx.db.notify(Event::STRING, "append", key);
    Ok(Reply::len(len))
}

fn strlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::len(
        ctx.db.read::<Str>(args[1])?.map_or(0, |text| text.len()),
    ))
}

fn getrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (parse::int(args[2])?, parse::int(args[3])?);
    let Some(bytes) = ctx.db.read::<Str>(args[1])? else {
        return Ok(Reply::Bulk(Bytes::new()));
    };
    let size = bytes.len() as i64;
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::Bulk(Bytes::new()));
    }
    let from_end = |at: i64| {
        if at < 0 {
            at.saturating_add(size).max(0)
        } else {
            at
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(size - 1));
    if start > end || size == 0 {
        return Ok(Reply::Bulk(Bytes::new()));
    }
    let range = start as usize..=end as usize;
    Ok(match bytes {
        Str::Small(bytes) => Reply::bulk(&bytes[range]),
        Str::Shared(bytes) => Reply::Bulk(bytes.slice(range)),
    })
}

fn setrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, patch) = (args[1], args[3]);
    let offset = parse::int(args[2])?;
    let offset = usize::try_from(offset).map_err(|_| Error::fixed("ERR offset is out of range"))?;
    let len = ctx.db.read::<Str>(key)?.map_or(0, |text| text.len());
    if patch.is_empty() {
        return Ok(Reply::len(len));
    }
    let end = offset.saturating_add(patch.len());
    if end > LONGEST {
        return Err(TOO_LONG);
    }
    ctx.grow_string(key, end)?;
    let bytes = ctx.db.create::<Str>(key)?;
    bytes.edit(|buffer| {
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        buffer[offset..end].copy_from_slice(patch);
    });
    let len = bytes.len();
    ctx.db.notify(Event::STRING, "setrange", key);
    Ok(Reply::len(len))
}

fn add(ctx: &mut Ctx<'_>, key: &[u8], amount: i64, event: &'static str) -> Outcome {
    let old = match ctx.db.read::<Str>(key)? {
        None => 0,
        Some(bytes) => num::parse_i64(bytes).ok_or(NOT_INTEGER)?,
    };
    let new = old.checked_add(amount).ok_or(OVERFLOW)?;
    ctx.db
        .put_keep_expiry(key, copied(itoa::Buffer::new().format(new).as_bytes()));
    ctx.db.notify(Event::STRING, event, key);
    Ok(Reply::Int(new))
}

fn incr(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    add(ctx, args[1], 1, "incrby")
}

fn decr(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    add(ctx, args[1], -1, "decrby")
}

fn incrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let amount = parse::int(args[2])?;
    add(ctx, args[1], amount, "incrby")
}

fn decrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let amount = parse::int(args[2])?
        .checked_neg()
        .ok_or(Error::fixed("ERR decrement would overflow"))?;
    add(ctx, args[1], amount, "decrby")
}

/// The sum of two numbers given as text, in the format of INCRBYFLOAT.
pub(crate) fn add_floats(
    old: Option<&[u8]>,
    amount: &[u8],
    old_error: Error,
) -> Result<String, Error> {
    let read = |text: &[u8], error: Error| {
        LongDouble::parse(text).ok_or_else(|| {
            let infinite = num::parse_f64(text).is_some_and(f64::is_infinite);
            match (infinite, num::parse_f64(amount)) {
                (true, Some(_)) => NAN_OR_INF,
                (true, None) => NOT_FLOAT,
                (false, _) => error,
            }
        })
    };
    let old = old.map_or(Ok(LongDouble::ZERO), |text| read(text, old_error))?;
    let amount = read(amount, NOT_FLOAT)?;
    Ok(old.add(amount).ok_or(NAN_OR_INF)?.human())
}

fn incrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let old = ctx.db.read::<Str>(key)?;
    let sum = Bytes::from(add_floats(old.map(|text| &**text), args[2], NOT_FLOAT)?);
    ctx.db.put_keep_expiry(key, Value::Str(sum.clone().into()));
    ctx.db.notify(Event::STRING, "incrbyfloat", key);
    Ok(Reply::Bulk(sum))
}

fn mget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::Array(
        args[1..]
            .iter()
            .map(|key| match ctx.db.value(key) {
                Some(Value::Str(text)) => Reply::Bulk(text.to_bytes()),
                _ => Reply::Nil,
            })
            .collect(),
    ))
}

fn put_pairs(ctx: &mut Ctx<'_>, pairs: &[&[u8]]) {
    for pair in pairs.chunks_exact(2) {
        ctx.db.put(pair[0], copied(pair[1]));
        ctx.db.notify(Event::STRING, "set", pair[0]);
    }
}

fn mset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(Error::wrong_arity("mset"));
    }
    put_pairs(ctx, &args[1..]);
    Ok(Reply::ok())
}

fn msetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(Error::wrong_arity("msetnx"));
    }
    if args[1..].chunks_exact(2).any(|pair| ctx.db.exists(pair[0])) {
        return Ok(Reply::Int(0));
    }
    put_pairs(ctx, &args[1..]);
    Ok(Reply::Int(1))
}

const PAIRS: Keys = Keys::Range {
    first: 1,
    last: -1,
    step: 2,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("APPEND", 3, Keys::ONE, Category::String, append)
        .denyoom()
        .fast(),
    Spec::write("DECR", 2, Keys::ONE, Category::String, decr)
        .denyoom()
        .fast(),
    Spec::write("DECRBY", 3, Keys::ONE, Category::String, decrby)
        .denyoom()
        .fast(),
    Spec::read("GET", 2, Keys::ONE, Category::String, get).fast(),
    Spec::write("GETDEL", 2, Keys::ONE, Category::String, getdel).fast(),
    Spec::write("GETEX", -2, Keys::ONE, Category::String, getex).fast(),
    Spec::read("GETRANGE", 4, Keys::ONE, Category::String, getrange),
    Spec::write("GETSET", 3, Keys::ONE, Category::String, getset)
        .denyoom()
        .fast(),
    Spec::write("INCR", 2, Keys::ONE, Category::String, incr)
        .denyoom()
        .fast(),
    Spec::write("INCRBY", 3, Keys::ONE, Category::String, incrby)
        .denyoom()
        .fast(),
    Spec::write("INCRBYFLOAT", 3, Keys::ONE, Category::String, incrbyfloat)
        .denyoom()
        .fast(),
    Spec::read("MGET", -2, Keys::ALL, Category::String, mget).fast(),
    Spec::write("MSET", -3, PAIRS, Category::String, mset).denyoom(),
    Spec::write("MSETNX", -3, PAIRS, Category::String, msetnx).denyoom(),
    Spec::write("SETRANGE", 4, Keys::ONE, Category::String, setrange).denyoom(),
    Spec::read("STRLEN", 2, Keys::ONE, Category::String, strlen).fast(),
    Spec::read("SUBSTR", 4, Keys::ONE, Category::String, getrange),
];

#[cfg(test)]
mod tests {
    use crate::{Engine, Reply};

    fn text(value: &str) -> Reply {
        Reply::bulk(value)
    }

    fn error(reply: &Reply) -> &str {
        match reply {
            Reply::Error(error) => error.message(),
            _ => "",
        }
    }

    #[test]
    fn counting_stops_at_the_ends_of_64_bits() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "9223372036854775807"]);
        assert_eq!(
            error(&engine.call(&["INCR", "k"])),
            "ERR increment or decrement would overflow"
        );
        assert_eq!(
            error(&engine.call(&["DECRBY", "k", "-9223372036854775808"])),
            "ERR decrement would overflow"
        );
        engine.call(&["SET", "k", " 1"]);
        assert_eq!(
            error(&engine.call(&["INCR", "k"])),
            "ERR value is not an integer or out of range"
        );
    }

    #[test]
    fn floats_are_added_in_extended_precision() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "0.1"]);
        assert_eq!(engine.call(&["INCRBYFLOAT", "k", "0.2"]), text("0.3"));
        assert_eq!(
            engine.call(&["INCRBYFLOAT", "k", "5.0e3"]),
            text("5000.29999999999999982")
        );
        assert_eq!(
            error(&engine.call(&["INCRBYFLOAT", "k", "inf"])),
            "ERR increment would produce NaN or Infinity"
        );
    }

    #[test]
    fn ranges_count_from_both_ends() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "hello"]);
        for (start, end, wanted) in [
            ("0", "-1", "hello"),
            ("-3", "-2", "ll"),
            ("1", "100", "ello"),
            ("5", "9", ""),
            ("-1", "-3", ""),
            ("-100", "0", "h"),
        ] {
            assert_eq!(engine.call(&["GETRANGE", "k", start, end]), text(wanted));
        }
        assert_eq!(engine.call(&["SETRANGE", "k", "7", "x"]), Reply::Int(8));
        assert_eq!(engine.call(&["GET", "k"]), text("hello\0\0x"));
    }

    #[test]
    fn a_read_reply_keeps_its_bytes_when_the_string_changes() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "abc"]);
        let before = engine.call(&["GET", "k"]);
        engine.call(&["SETRANGE", "k", "0", "xyz"]);
        assert_eq!(before, text("abc"));
    }

    #[test]
    fn msetnx_sets_all_or_nothing() {
        let engine = Engine::default();
        engine.call(&["SET", "b", "1"]);
        assert_eq!(engine.call(&["MSETNX", "a", "1", "b", "2"]), Reply::Int(0));
        assert_eq!(engine.call(&["EXISTS", "a"]), Reply::Int(0));
        assert_eq!(
            error(&engine.call(&["MSET", "a", "1", "b"])),
            "ERR wrong number of arguments for 'mset' command"
        );
    }
}

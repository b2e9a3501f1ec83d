//! SET with its conditions, its short forms, and what compares before it deletes.

use super::expire::{ExpiryOption, Unit};
use super::string::copied;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::num;
use crate::parse::Walk;
use crate::reply::Reply;
use crate::text::Str;

/// When SET writes.
#[derive(Clone, Copy, Debug, Default)]
enum Condition<'a> {
    #[default]
    Always,
    Absent,
    Present,
    Equal(&'a [u8]),
    NotEqual(&'a [u8]),
    DigestEqual(&'a [u8]),
    DigestNotEqual(&'a [u8]),
}

impl<'a> Condition<'a> {
    /// Takes IFEQ and its relatives.
    fn compare(walk: &mut Walk<'a>) -> Result<Option<Self>, Error> {
        Ok(Some(if walk.word("IFEQ") {
            Self::Equal(walk.need()?)
        } else if walk.word("IFNE") {
            Self::NotEqual(walk.need()?)
        } else if walk.word("IFDEQ") {
            Self::DigestEqual(checked_digest(walk.need()?)?)
        } else if walk.word("IFDNE") {
            Self::DigestNotEqual(checked_digest(walk.need()?)?)
        } else {
            return Ok(None);
        }))
    }

    const fn compares(self) -> bool {
        !matches!(self, Self::Always | Self::Absent | Self::Present)
    }

    fn holds(self, current: Option<&[u8]>) -> bool {
        match (self, current) {
            (Self::Always | Self::Present, Some(_))
            | (Self::Always | Self::Absent | Self::NotEqual(_) | Self::DigestNotEqual(_), None) => {
                true
            }
            (Self::Equal(wanted), Some(now)) => wanted == now,
            (Self::NotEqual(wanted), Some(now)) => wanted != now,
            (Self::DigestEqual(wanted), Some(now)) => {
                digest_text(now).as_bytes().eq_ignore_ascii_case(wanted)
            }
            (Self::DigestNotEqual(wanted), Some(now)) => {
                !digest_text(now).as_bytes().eq_ignore_ascii_case(wanted)
            }
            (Self::Absent, Some(_)) | (_, None) => false,
        }
    }
}

fn checked_digest(text: &[u8]) -> Result<&[u8], Error> {
    if text.len() == 16 {
        return Ok(text);
    }
    Err(Error::fixed(
        "ERR must be exactly 16 hexadecimal characters",
    ))
}

fn digest_text(bytes: &[u8]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes))
}

#[derive(Debug, Default)]
struct SetOptions<'a> {
    condition: Condition<'a>,
    expiry: ExpiryOption<'a>,
    get: bool,
}

impl<'a> SetOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut walk = Walk::new(args, 3);
        while !walk.is_empty() {
            if walk.word("GET") {
                options.get = true;
            } else if let Some(condition) = Condition::compare(&mut walk)? {
                options.only_if(condition)?;
            } else {
                options.take(&mut walk)?;
            }
        }
        Ok(options)
    }

    /// Takes an option that SET and MSETEX have.
    fn take(&mut self, walk: &mut Walk<'a>) -> Result<(), Error> {
        if walk.word("KEEPTTL") {
            self.expiry.choose(ExpiryOption::Keep)
        } else if walk.word("NX") {
            self.only_if(Condition::Absent)
        } else if walk.word("XX") {
            self.only_if(Condition::Present)
        } else if self.expiry.take(walk)? {
            Ok(())
        } else {
            Err(SYNTAX)
        }
    }

    /// One kind of condition may be given again, and the last one counts.
    fn only_if(&mut self, condition: Condition<'a>) -> Result<(), Error> {
        let kind = std::mem::discriminant::<Condition<'_>>;
        if !matches!(self.condition, Condition::Always) && kind(&self.condition) != kind(&condition)
        {
            return Err(SYNTAX);
        }
        self.condition = condition;
        Ok(())
    }
}

fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (args[1], args[2]);
    if args.len() == 3 {
        ctx.db.put(key, copied(value));
        ctx.db.notify(Event::STRING, "set", key);
        return Ok(Reply::ok());
    }
    let options = SetOptions::parse(args)?;
    let expiry = options.expiry.at(ctx.now(), "set")?.unwrap_or(0);
    let typed = options.get || options.condition.compares();
    let (old, holds) = if typed {
        let current = ctx.db.read::<Str>(key)?;
        let holds = options.condition.holds(current.map(|text| &**text));
        (Reply::text(current.map(Str::text)), holds)
    } else if matches!(options.condition, Condition::Always) {
        (Reply::Nil, true)
    } else {
        let exists = ctx.db.exists(key);
        (Reply::Nil, options.condition.holds(exists.then_some(&[])))
    };
    if holds {
        store(ctx, key, value, options.expiry, expiry);
    }
    Ok(if options.get {
        old
    } else if holds {
        Reply::ok()
    } else {
        Reply::Nil
    })
}

/// Sets a key, whose expiry is kept, or goes where `expiry` is 0.
fn store(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], option: ExpiryOption<'_>, expiry: u64) {
    match option {
        ExpiryOption::Keep => ctx.db.put_keep_expiry(key, copied(value)),
        _ => ctx.db.put(key, copied(value)),
    }
    ctx.db.notify(Event::STRING, "set", key);
    if expiry != 0 {
        ctx.db.set_expiry(key, expiry);
        ctx.db.notify(Event::GENERIC, "expire", key);
    }
}

/// Where the keys of MSETEX are: the first of each pair.
fn keys_of_pairs(args: Args<'_>, visit: &mut dyn FnMut(usize)) {
    let pairs = args.get(1).and_then(|text| num::parse_i64(text));
    let pairs = pairs.and_then(|pairs| usize::try_from(pairs).ok());
    let keys = (2..args.len()).step_by(2);
    keys.take(pairs.unwrap_or(0)).for_each(visit);
}

fn msetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let pairs = num::parse_i64(args[1])
        .and_then(|pairs| i32::try_from(pairs).ok())
        .and_then(|pairs| usize::try_from(pairs).ok())
        .filter(|&pairs| pairs > 0)
        .ok_or(Error::fixed("ERR invalid numkeys value"))?;
    let mut walk = Walk::new(args, 2);
    let (pairs, _) = walk
        .need_many(pairs.saturating_mul(2))
        .map_err(|_| Error::fixed("ERR wrong number of key-value pairs"))?
        .as_chunks::<2>();
    let mut options = SetOptions::default();
    while !walk.is_empty() {
        options.take(&mut walk)?;
    }
    let expiry = options.expiry.at(ctx.now(), "msetex")?.unwrap_or(0);
    let holds = match options.condition {
        Condition::Absent => !pairs.iter().any(|[key, _]| ctx.db.exists(key)),
        Condition::Present => pairs.iter().all(|[key, _]| ctx.db.exists(key)),
        _ => true,
    };
    if holds {
        for [key, value] in pairs {
            store(ctx, key, value, options.expiry, expiry);
        }
    }
    Ok(Reply::bool(holds))
}

fn set_for(ctx: &mut Ctx<'_>, args: Args<'_>, unit: Unit, name: &str) -> Outcome {
    let expiry = unit.positive(args[2], ctx.now(), name)?;
    ctx.db.put(args[1], copied(args[3]));
    ctx.db.set_expiry(args[1], expiry);
    ctx.db.notify(Event::STRING, "set", args[1]);
    ctx.db.notify(Event::GENERIC, "expire", args[1]);
    Ok(Reply::ok())
}

fn setex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_for(ctx, args, Unit::Seconds, "setex")
}

fn psetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_for(ctx, args, Unit::Millis, "psetex")
}

fn setnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if ctx.db.exists(args[1]) {
        return Ok(Reply::Int(0));
    }
    ctx.db.put(args[1], copied(args[2]));
    ctx.db.notify(Event::STRING, "set", args[1]);
    Ok(Reply::Int(1))
}

fn delex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut walk = Walk::new(args, 2);
    if !walk.is_empty() {
        if walk.len() != 2 {
            return Err(Error::wrong_arity("delex"));
        }
        let condition = Condition::compare(&mut walk)?.ok_or(SYNTAX)?;
        let Some(current) = ctx.db.read::<Str>(key)? else {
            return Ok(Reply::Int(0));
        };
        if !condition.holds(Some(current)) {
            return Ok(Reply::Int(0));
        }
    }
    let removed = ctx.db.remove(key);
    if removed {
        ctx.db.notify(Event::GENERIC, "del", key);
    }
    Ok(Reply::bool(removed))
}

fn digest(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(ctx
        .db
        .read::<Str>(args[1])?
        .map_or(Reply::Nil, |bytes| Reply::bulk(digest_text(bytes))))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("DELEX", -2, Keys::ONE, Category::String, delex).fast(),
    Spec::read("DIGEST", 2, Keys::ONE, Category::String, digest).fast(),
    Spec::write(
        "MSETEX",
        -4,
        Keys::Found(keys_of_pairs),
        Category::String,
        msetex,
    )
    .denyoom(),
    Spec::write("PSETEX", 4, Keys::ONE, Category::String, psetex).denyoom(),
    Spec::write("SET", -3, Keys::ONE, Category::String, set).denyoom(),
    Spec::write("SETEX", 4, Keys::ONE, Category::String, setex).denyoom(),
    Spec::write("SETNX", 3, Keys::ONE, Category::String, setnx)
        .denyoom()
        .fast(),
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
    fn set_with_a_failed_condition_changes_nothing_and_still_gets() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "old"]);
        assert_eq!(engine.call(&["SET", "k", "new", "NX"]), Reply::Nil);
        assert_eq!(engine.call(&["SET", "k", "new", "NX", "GET"]), text("old"));
        assert_eq!(
            engine.call(&["SET", "k", "new", "IFEQ", "other"]),
            Reply::Nil
        );
        assert_eq!(engine.call(&["GET", "k"]), text("old"));
        assert_eq!(
            engine.call(&["SET", "k", "new", "IFEQ", "old"]),
            Reply::ok()
        );
        assert_eq!(engine.call(&["SET", "none", "v", "IFEQ", ""]), Reply::Nil);
        assert_eq!(engine.call(&["SET", "none", "v", "IFNE", "x"]), Reply::ok());
    }

    #[test]
    fn digest_is_xxh3_and_guards_set_and_delex() {
        let engine = Engine::default();
        engine.call(&["SET", "k", ""]);
        assert_eq!(engine.call(&["DIGEST", "k"]), text("2d06800538d394c2"));
        assert_eq!(engine.call(&["DIGEST", "none"]), Reply::Nil);
        let digest = "2D06800538D394C2";
        assert_eq!(engine.call(&["SET", "k", "v", "IFDNE", digest]), Reply::Nil);
        assert_eq!(
            engine.call(&["SET", "k", "v", "IFDEQ", digest]),
            Reply::ok()
        );
        assert_eq!(engine.call(&["DELEX", "k", "IFDEQ", digest]), Reply::Int(0));
        assert_eq!(engine.call(&["DELEX", "k", "IFEQ", "v"]), Reply::Int(1));
    }

    #[test]
    fn conflicting_set_options_are_a_syntax_error() {
        let engine = Engine::default();
        for options in [
            &["NX", "XX"][..],
            &["EX", "1", "PX", "1"],
            &["EX", "1", "KEEPTTL"],
            &["EX"],
            &["NOPE"],
            &["XX", "IFEQ", "a"],
        ] {
            let args = [&["SET", "k", "v"], options].concat();
            assert_eq!(
                error(&engine.call(&args)),
                "ERR syntax error",
                "{options:?}"
            );
        }
        assert_eq!(
            error(&engine.call(&["SET", "k", "v", "EX", "0"])),
            "ERR invalid expire time in 'set' command"
        );
    }
}

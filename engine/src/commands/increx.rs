//! INCREX: a counter with bounds and an expiry.

use std::cmp::Ordering;

use bytes::Bytes;

use super::expire::ExpiryOption;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NOT_FLOAT, NOT_INTEGER, OVERFLOW, SYNTAX};
use crate::longdouble::LongDouble;
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::text::Str;
use crate::value::Value;

const BOUNDS: Error = Error::fixed("ERR LBOUND can't be greater than UBOUND");
const INFINITE: Error = Error::fixed("ERR value or increment would produce Infinity");

/// What is added.
#[derive(Clone, Copy, Debug)]
enum By<'a> {
    One,
    Int(&'a [u8]),
    Float(&'a [u8]),
}

#[derive(Debug)]
struct Options<'a> {
    by: By<'a>,
    low: Option<&'a [u8]>,
    high: Option<&'a [u8]>,
    saturate: bool,
    expiry: ExpiryOption<'a>,
    /// The expiry is for keys that have none.
    only_new_expiry: bool,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = Self {
            by: By::One,
            low: None,
            high: None,
            saturate: false,
            expiry: ExpiryOption::Unset,
            only_new_expiry: false,
        };
        let mut walk = Walk::new(args, 2);
        while !walk.is_empty() {
            if walk.word("BYINT") {
                options.add(By::Int(walk.need()?))?;
            } else if walk.word("BYFLOAT") {
                options.add(By::Float(walk.need()?))?;
            } else if walk.word("LBOUND") {
                options.low = Some(walk.need()?);
            } else if walk.word("UBOUND") {
                options.high = Some(walk.need()?);
            } else if walk.word("SATURATE") {
                options.saturate = true;
            } else if walk.word("ENX") {
                options.only_new_expiry = true;
            } else if walk.word("PERSIST") {
                options.expiry.choose(ExpiryOption::Persist)?;
            } else if !options.expiry.take(&mut walk)? {
                return Err(SYNTAX);
            }
        }
        match options.expiry {
            ExpiryOption::Persist if options.only_new_expiry => Err(SYNTAX),
            ExpiryOption::Unset if options.only_new_expiry => {
                Err(Error::fixed("ERR ENX flag requires an expiration"))
            }
            _ => Ok(options),
        }
    }

    fn add(&mut self, by: By<'a>) -> Result<(), Error> {
        match self.by {
            By::One => self.by = by,
            By::Int(_) | By::Float(_) => return Err(SYNTAX),
        }
        Ok(())
    }
}

/// What an increment comes to.
struct Change {
    /// The new value; `None`: it would be out of bounds, and nothing changes.
    value: Option<Bytes>,
    event: &'static str,
    reply: Reply,
}

/// The change of an integer.
fn add_int(old: Option<&Str>, by: Option<&[u8]>, options: &Options<'_>) -> Result<Change, Error> {
    let read = |text: Option<&[u8]>, default| text.map_or(Ok(default), parse::int);
    let by = read(by, 1)?;
    let (low, high) = (read(options.low, i64::MIN)?, read(options.high, i64::MAX)?);
    if low > high {
        return Err(BOUNDS);
    }
    let old = old.map_or(Ok(0), |text| num::parse_i64(text).ok_or(NOT_INTEGER))?;
    let sum = old.checked_add(by).filter(|sum| (low..=high).contains(sum));
    let new = match sum {
        Some(sum) => Some(sum),
        None if options.saturate => Some(old.saturating_add(by).clamp(low, high)),
        None => None,
    };
    let added = new.map_or(Some(0), |new| new.checked_sub(old));
    let added = added.ok_or(OVERFLOW)?;
    Ok(Change {
        value: new.map(|new| Bytes::from(new.to_string())),
        event: "incrby",
        reply: Reply::Array(vec![Reply::Int(new.unwrap_or(old)), Reply::Int(added)]),
    })
}

/// A number that is no infinity.
fn float(text: &[u8]) -> Result<LongDouble, Error> {
    LongDouble::parse(text).ok_or_else(|| match num::parse_f64(text) {
        Some(number) if number.is_infinite() => INFINITE,
        _ => NOT_FLOAT,
    })
}

/// The change of a floating point number.
fn add_float(old: Option<&Str>, by: &[u8], options: &Options<'_>) -> Result<Change, Error> {
    let by = float(by)?;
    let low = options.low.map_or(Ok(LongDouble::MAX.negate()), float)?;
    let high = options.high.map_or(Ok(LongDouble::MAX), float)?;
    if low.compare(high) == Ordering::Greater {
        return Err(BOUNDS);
    }
    let old = old.map_or(Ok(LongDouble::ZERO), |text| float(text))?;
    let sum = old.add(by);
    let fits = sum
        .filter(|sum| sum.compare(low) != Ordering::Less && sum.compare(high) != Ordering::Greater);
    let upwards = by.compare(LongDouble::ZERO) == Ordering::Greater;
    let bound = match sum {
        // Beyond all numbers.
        None if upwards => high,
        None => low,
        Some(sum) if sum.compare(low) == Ordering::Less => low,
        Some(_) => high,
    };
    let new = fits.or(options.saturate.then_some(bound));
    let added = match new {
        Some(_) if fits.is_some() => by,
        Some(new) => new.add(old.negate()).ok_or(INFINITE)?,
        None => LongDouble::ZERO,
    };
    let text = |number: LongDouble| Reply::bulk(number.human());
    Ok(Change {
        value: new.map(|new| Bytes::from(new.human())),
        event: "incrbyfloat",
        reply: Reply::Array(vec![text(new.unwrap_or(old)), text(added)]),
    })
}

fn increx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let options = Options::parse(args)?;
    let expiry = options.expiry.at(ctx.now(), "increx")?;
    let old = ctx.db.read::<Str>(key)?;
    let change = match options.by {
        By::One => add_int(old, None, &options),
        By::Int(by) => add_int(old, Some(by), &options),
        By::Float(by) => add_float(old, by, &options),
    }?;
    let Some(value) = change.value else {
        return Ok(change.reply);
    };
    ctx.db.put_keep_expiry(key, Value::Str(value.into()));
    ctx.db.notify(Event::STRING, change.event, key);
    let volatile = ctx.db.expiry(key).is_some_and(|expiry| expiry != 0);
    match expiry {
        Some(_) if options.only_new_expiry && volatile => {}
        Some(at) => {
            ctx.db.set_expiry(key, at);
            ctx.db.notify(Event::GENERIC, "expire", key);
        }
        None if volatile && matches!(options.expiry, ExpiryOption::Persist) => {
            ctx.db.set_expiry(key, 0);
            ctx.db.notify(Event::GENERIC, "persist", key);
        }
        None => {}
    }
    Ok(change.reply)
}

pub(crate) const COMMANDS: &[Spec] =
    &[
        Spec::write("INCREX", -2, Keys::ONE, Category::String, increx)
            .denyoom()
            .fast(),
    ];

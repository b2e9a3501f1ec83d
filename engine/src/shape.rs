//! What the reply to a command would be in RESP3: replies are in the terms of RESP2.

use crate::num;

/// The type of a reply. What does not fit it, such as a missing value, stays what it is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// What it is in RESP2.
    Plain,
    /// A floating point number as text.
    Double,
    /// A text for people.
    Verbatim,
    /// Members of a set.
    Set,
    /// Names and values in turn; the shape of a value follows from its name.
    Map(fn(&[u8]) -> Shape),
    /// A list of names with their values.
    MapOfPairs,
    /// Elements of one shape.
    Each(&'static Shape),
    /// Elements in turn, each second one of this shape, become a list of pairs.
    Pairs(&'static Shape),
    /// Elements with a shape each.
    Tuple(&'static [Shape]),
}

const DOUBLES: Shape = Shape::Each(&Shape::Double);
const SCORED: Shape = Shape::Tuple(&[Shape::Plain, Shape::Double]);

fn plain(_: &[u8]) -> Shape {
    Shape::Plain
}

/// The members of XINFO's replies.
fn info(name: &[u8]) -> Shape {
    match name {
        b"groups" | b"consumers" => Shape::Each(&Shape::Map(info)),
        _ => Shape::Plain,
    }
}

/// The members of a library in FUNCTION LIST.
fn library(name: &[u8]) -> Shape {
    match name {
        b"functions" => Shape::Each(&Shape::Map(library)),
        b"flags" => Shape::Set,
        _ => Shape::Plain,
    }
}

/// The members of FUNCTION STATS.
fn statistics(name: &[u8]) -> Shape {
    match name {
        b"engines" => Shape::Map(|_| Shape::Map(plain)),
        _ => Shape::Plain,
    }
}

impl Shape {
    /// The type of the reply to a command.
    pub fn of(args: &[&[u8]]) -> Self {
        let upper = |at: usize| args.get(at).map(|arg| arg.to_ascii_uppercase());
        let has = |from: usize, word: &str| {
            let mut options = args.iter().skip(from);
            options.any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        let when = |condition, shape| if condition { shape } else { Self::Plain };
        match &*upper(0).unwrap_or_default() {
            b"LCS" => when(has(3, "IDX"), Self::Map(plain)),
            b"HGETALL" => Self::Map(plain),
            b"CONFIG" => when(upper(1).as_deref() == Some(b"GET"), Self::Map(plain)),
            b"XREAD" | b"XREADGROUP" => Self::MapOfPairs,
            b"XINFO" => match upper(1).as_deref() {
                Some(b"STREAM") => Self::Map(info),
                Some(b"GROUPS" | b"CONSUMERS") => Self::Each(&Self::Map(info)),
                _ => Self::Plain,
            },
            b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF" => Self::Set,
            b"SPOP" => when(args.len() > 2, Self::Set),
            b"ZSCORE" | b"ZINCRBY" | b"ZADD" => Self::Double,
            b"ZMSCORE" => DOUBLES,
            b"ZRANGE" | b"ZREVRANGE" | b"ZRANGEBYSCORE" | b"ZREVRANGEBYSCORE" => {
                when(has(4, "WITHSCORES"), Self::Pairs(&Self::Double))
            }
            b"ZUNION" | b"ZINTER" | b"ZDIFF" => {
                let keys = args.get(1).and_then(|text| num::parse_i64(text));
                let keys = keys
                    .and_then(|keys| usize::try_from(keys).ok())
                    .unwrap_or(0);
                let options = keys.saturating_add(2);
                when(has(options, "WITHSCORES"), Self::Pairs(&Self::Double))
            }
            b"ZRANDMEMBER" => when(has(3, "WITHSCORES"), Self::Pairs(&Self::Double)),
            b"HRANDFIELD" => when(has(3, "WITHVALUES"), Self::Pairs(&Self::Plain)),
            b"ZPOPMIN" | b"ZPOPMAX" if args.len() > 2 => Self::Pairs(&Self::Double),
            b"ZPOPMIN" | b"ZPOPMAX" | b"ZRANK" | b"ZREVRANK" => SCORED,
            b"BZPOPMIN" | b"BZPOPMAX" => Self::Tuple(&[Self::Plain, Self::Plain, Self::Double]),
            b"ACL" => when(upper(1).as_deref() == Some(b"GETUSER"), Self::Map(plain)),
            b"FUNCTION" => match upper(1).as_deref() {
                Some(b"LIST") => Self::Each(&Self::Map(library)),
                Some(b"STATS") => Self::Map(statistics),
                _ => Self::Plain,
            },
            b"ZMPOP" | b"BZMPOP" => Self::Tuple(&[Self::Plain, Self::Each(&SCORED)]),
            b"GEOPOS" => Self::Each(&DOUBLES),
            b"GEOSEARCH"
            | b"GEORADIUS"
            | b"GEORADIUS_RO"
            | b"GEORADIUSBYMEMBER"
            | b"GEORADIUSBYMEMBER_RO" => Self::Each(&Self::Each(&DOUBLES)),
            b"INCREX" => when(has(2, "BYFLOAT"), DOUBLES),
            b"INFO" => Self::Verbatim,
            _ => Self::Plain,
        }
    }
}

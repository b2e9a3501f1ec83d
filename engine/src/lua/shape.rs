//! What a reply would be in RESP3, for scripts that called `redis.setresp(3)`.

use mlua::{Lua, Result, Table, Value};

use super::convert::to_lua;
use crate::num;
use crate::reply::Reply;

/// The type of a reply. What does not fit it, such as a missing value, stays what it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Plain,
    Double,
    Verbatim,
    Set,
    /// Names and values in turn; the shape of a value follows from its name.
    Map(fn(&[u8]) -> Shape),
    /// A list of names with their values.
    MapOfPairs,
    Each(&'static Shape),
    /// Elements in turn, each second one of this shape, become a list of pairs.
    Pairs(&'static Shape),
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

impl Shape {
    /// The type of the reply to a command.
    pub(super) fn of(args: &[&[u8]]) -> Self {
        let upper = |at: usize| args.get(at).map(|arg| arg.to_ascii_uppercase());
        let has = |from: usize, word: &str| {
            let mut options = args.iter().skip(from);
            options.any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        let when = |condition, shape| if condition { shape } else { Self::Plain };
        match &*upper(0).unwrap_or_default() {
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
            b"ZMPOP" => Self::Tuple(&[Self::Plain, Self::Each(&SCORED)]),
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

    /// A reply as a Lua value.
    pub(super) fn to_lua(self, lua: &Lua, reply: &Reply) -> Result<Value> {
        let table = match (self, reply) {
            (Self::Double, Reply::Bulk(text)) => match num::parse_f64(text) {
                Some(number) => named(lua, "double", Value::Number(number))?,
                None => return to_lua(lua, reply, true),
            },
            (Self::Verbatim, Reply::Bulk(text)) => {
                let verbatim = lua.create_table()?;
                verbatim.raw_set("format", "txt")?;
                verbatim.raw_set("string", lua.create_string(text)?)?;
                named(lua, "verbatim_string", Value::Table(verbatim))?
            }
            (Self::Set, Reply::Array(members)) => {
                let set = lua.create_table_with_capacity(0, members.len())?;
                for member in members {
                    set.raw_set(to_lua(lua, member, true)?, true)?;
                }
                named(lua, "set", Value::Table(set))?
            }
            (Self::Map(shape_of), Reply::Array(items)) => {
                let (pairs, _) = items.as_chunks::<2>();
                let pairs = pairs.iter().map(|[name, value]| {
                    let shape = match name {
                        Reply::Bulk(name) => shape_of(name),
                        _ => Self::Plain,
                    };
                    (name, value, shape)
                });
                map(lua, pairs)?
            }
            (Self::MapOfPairs, Reply::Array(items)) => {
                let pairs = items.iter().filter_map(|item| match item {
                    Reply::Array(pair) => Some((pair.first()?, pair.get(1)?, Self::Plain)),
                    _ => None,
                });
                map(lua, pairs)?
            }
            (Self::Each(shape), Reply::Array(items)) => {
                list(lua, items.iter().map(|item| (item, *shape)))?
            }
            (Self::Tuple(shapes), Reply::Array(items)) => {
                let shapes = shapes.iter().copied();
                let shapes = shapes.chain(std::iter::repeat(Self::Plain));
                list(lua, items.iter().zip(shapes))?
            }
            (Self::Pairs(shape), Reply::Array(items)) => {
                let pairs = lua.create_table_with_capacity(items.len() / 2, 0)?;
                for [first, second] in items.as_chunks::<2>().0 {
                    let pair = [(first, Self::Plain), (second, *shape)];
                    pairs.raw_push(list(lua, pair)?)?;
                }
                pairs
            }
            _ => return to_lua(lua, reply, true),
        };
        Ok(Value::Table(table))
    }
}

fn named(lua: &Lua, name: &str, value: Value) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(table)
}

fn map<'r>(lua: &Lua, pairs: impl Iterator<Item = (&'r Reply, &'r Reply, Shape)>) -> Result<Table> {
    let map = lua.create_table()?;
    for (name, value, shape) in pairs {
        map.raw_set(to_lua(lua, name, true)?, shape.to_lua(lua, value)?)?;
    }
    named(lua, "map", Value::Table(map))
}

fn list<'r>(lua: &Lua, items: impl IntoIterator<Item = (&'r Reply, Shape)>) -> Result<Table> {
    let list = lua.create_table()?;
    for (at, (item, shape)) in items.into_iter().enumerate() {
        list.raw_set(at + 1, shape.to_lua(lua, item)?)?;
    }
    Ok(list)
}

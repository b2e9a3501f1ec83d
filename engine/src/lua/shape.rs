//! Replies for scripts that called `redis.setresp(3)`.

use mlua::{Lua, Result, Table, Value};

use super::convert::to_lua as plain;
use crate::num;
use crate::reply::Reply;
use crate::shape::Shape;

/// A reply of this shape as a Lua value.
pub(super) fn to_lua(shape: Shape, lua: &Lua, reply: &Reply) -> Result<Value> {
    let table = match (shape, reply) {
        (Shape::Double, Reply::Bulk(text)) => match num::parse_f64(text) {
            Some(number) => named(lua, "double", Value::Number(number))?,
            None => return plain(lua, reply, true),
        },
        (Shape::Verbatim, Reply::Bulk(text)) => {
            let verbatim = lua.create_table()?;
            verbatim.raw_set("format", "txt")?;
            verbatim.raw_set("string", lua.create_string(text)?)?;
            named(lua, "verbatim_string", Value::Table(verbatim))?
        }
        (Shape::Set, Reply::Array(members)) => {
            let set = lua.create_table_with_capacity(0, members.len())?;
            for member in members {
                set.raw_set(plain(lua, member, true)?, true)?;
            }
            named(lua, "set", Value::Table(set))?
        }
        (Shape::Map(shape_of), Reply::Array(items)) => {
            let (pairs, _) = items.as_chunks::<2>();
            let pairs = pairs.iter().map(|[name, value]| {
                let shape = match name {
                    Reply::Bulk(name) => shape_of(name),
                    _ => Shape::Plain,
                };
                (name, value, shape)
            });
            map(lua, pairs)?
        }
        (Shape::MapOfPairs, Reply::Array(items)) => {
            let pairs = items.iter().filter_map(|item| match item {
                Reply::Array(pair) => Some((pair.first()?, pair.get(1)?, Shape::Plain)),
                _ => None,
            });
            map(lua, pairs)?
        }
        (Shape::Each(shape), Reply::Array(items)) => {
            list(lua, items.iter().map(|item| (item, *shape)))?
        }
        (Shape::Tuple(shapes), Reply::Array(items)) => {
            let shapes = shapes.iter().copied();
            let shapes = shapes.chain(std::iter::repeat(Shape::Plain));
            list(lua, items.iter().zip(shapes))?
        }
        (Shape::Pairs(shape), Reply::Array(items)) => {
            let pairs = lua.create_table_with_capacity(items.len() / 2, 0)?;
            for [first, second] in items.as_chunks::<2>().0 {
                let pair = [(first, Shape::Plain), (second, *shape)];
                pairs.raw_push(list(lua, pair)?)?;
            }
            pairs
        }
        _ => return plain(lua, reply, true),
    };
    Ok(Value::Table(table))
}

fn named(lua: &Lua, name: &str, value: Value) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(table)
}

fn map<'r>(lua: &Lua, pairs: impl Iterator<Item = (&'r Reply, &'r Reply, Shape)>) -> Result<Table> {
    let map = lua.create_table()?;
    for (name, value, shape) in pairs {
        map.raw_set(plain(lua, name, true)?, to_lua(shape, lua, value)?)?;
    }
    named(lua, "map", Value::Table(map))
}

fn list<'r>(lua: &Lua, items: impl IntoIterator<Item = (&'r Reply, Shape)>) -> Result<Table> {
    let list = lua.create_table()?;
    for (at, (item, shape)) in items.into_iter().enumerate() {
        list.raw_set(at + 1, to_lua(shape, lua, item)?)?;
    }
    Ok(list)
}

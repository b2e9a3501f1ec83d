//! From replies to bytes, in RESP2 or RESP3.

use bytes::{BufMut as _, BytesMut};
use restis_engine::{Reply, Shape};

use crate::reply::resp2;

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    Resp2,
    Resp3,
}

/// Appends the reply to a command whose RESP3 type is `shape`.
pub(crate) fn reply(out: &mut BytesMut, version: Version, shape: Shape, reply: &Reply) {
    match version {
        Version::Resp2 => resp2::value(out, reply),
        Version::Resp3 => value(out, shape, reply),
    }
}

/// Appends an error line.
pub(crate) fn error(out: &mut BytesMut, line: &str) {
    resp2::error(out, line);
}

/// Appends the head of a message that answers no command.
pub(crate) fn push(out: &mut BytesMut, version: Version, len: usize) {
    let kind = match version {
        Version::Resp2 => b'*',
        Version::Resp3 => b'>',
    };
    resp2::header(out, kind, len as i64);
}

/// Appends the head of a map of so many pairs.
pub(crate) fn map(out: &mut BytesMut, version: Version, pairs: usize) {
    match version {
        Version::Resp2 => resp2::header(out, b'*', (pairs * 2) as i64),
        Version::Resp3 => resp2::header(out, b'%', pairs as i64),
    }
}

/// Appends a missing value.
pub(crate) fn null(out: &mut BytesMut, version: Version) {
    reply(out, version, Shape::Plain, &Reply::Nil);
}

fn value(out: &mut BytesMut, shape: Shape, reply: &Reply) {
    match (shape, reply) {
        (_, Reply::Nil | Reply::NilArray) => out.extend_from_slice(b"_\r\n"),
        (Shape::Double, Reply::Bulk(text)) => {
            out.put_u8(b',');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        (Shape::Verbatim, Reply::Bulk(text)) => {
            resp2::header(out, b'=', text.len() as i64 + 4);
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        (Shape::Set, Reply::Array(members)) => {
            resp2::header(out, b'~', members.len() as i64);
            for member in members {
                value(out, Shape::Plain, member);
            }
        }
        (Shape::Map(shape_of), Reply::Array(items)) if items.len() % 2 == 0 => {
            resp2::header(out, b'%', (items.len() / 2) as i64);
            for [name, item] in items.as_chunks::<2>().0 {
                let shape = match name {
                    Reply::Bulk(name) => shape_of(name),
                    _ => Shape::Plain,
                };
                value(out, Shape::Plain, name);
                value(out, shape, item);
            }
        }
        (Shape::MapOfPairs, Reply::Array(items)) => {
            resp2::header(out, b'%', items.len() as i64);
            for item in items {
                let pair: &[Reply] = match item {
                    Reply::Array(pair) => pair,
                    _ => &[],
                };
                for half in 0..2 {
                    value(out, Shape::Plain, pair.get(half).unwrap_or(&Reply::Nil));
                }
            }
        }
        (Shape::Each(shape), Reply::Array(items)) => {
            resp2::header(out, b'*', items.len() as i64);
            for item in items {
                value(out, *shape, item);
            }
        }
        (Shape::Tuple(shapes), Reply::Array(items)) => {
            resp2::header(out, b'*', items.len() as i64);
            let shapes = shapes.iter().copied();
            for (item, shape) in items
                .iter()
                .zip(shapes.chain(std::iter::repeat(Shape::Plain)))
            {
                value(out, shape, item);
            }
        }
        (Shape::Pairs(shape), Reply::Array(items)) if items.len() % 2 == 0 => {
            resp2::header(out, b'*', (items.len() / 2) as i64);
            for [first, second] in items.as_chunks::<2>().0 {
                resp2::header(out, b'*', 2);
                value(out, Shape::Plain, first);
                value(out, *shape, second);
            }
        }
        (_, Reply::Array(items)) => {
            resp2::header(out, b'*', items.len() as i64);
            for item in items {
                value(out, Shape::Plain, item);
            }
        }
        (_, other) => resp2::value(out, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resp3(args: &[&str], value: &Reply) -> String {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let mut out = BytesMut::new();
        reply(&mut out, Version::Resp3, Shape::of(&args), value);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn bulks(words: &[&str]) -> Reply {
        Reply::array(words.iter().map(Reply::bulk))
    }

    /// What Redis 7.0 writes after HELLO 3.
    #[test]
    fn replies_get_the_types_of_resp3() {
        assert_eq!(resp3(&["GET", "k"], &Reply::Nil), "_\r\n");
        assert_eq!(
            resp3(&["HGETALL", "h"], &bulks(&["f", "v"])),
            "%1\r\n$1\r\nf\r\n$1\r\nv\r\n"
        );
        assert_eq!(
            resp3(&["SMEMBERS", "s"], &bulks(&["a"])),
            "~1\r\n$1\r\na\r\n"
        );
        assert_eq!(
            resp3(&["ZSCORE", "z", "a"], &Reply::bulk("1.5")),
            ",1.5\r\n"
        );
        assert_eq!(
            resp3(
                &["ZRANGE", "z", "0", "-1", "WITHSCORES"],
                &bulks(&["a", "1"])
            ),
            "*1\r\n*2\r\n$1\r\na\r\n,1\r\n"
        );
        assert_eq!(resp3(&["INFO"], &Reply::bulk("x:1")), "=7\r\ntxt:x:1\r\n");
        let entry = Reply::array([Reply::bulk("1-0"), bulks(&["f", "v"])]);
        let streams = Reply::array([Reply::array([Reply::bulk("s"), Reply::array([entry])])]);
        assert_eq!(
            resp3(&["XREAD", "STREAMS", "s", "0"], &streams),
            "%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
        );
    }

    #[test]
    fn maps_and_pushes_are_arrays_in_resp2() {
        let mut out = BytesMut::new();
        map(&mut out, Version::Resp2, 2);
        push(&mut out, Version::Resp2, 3);
        map(&mut out, Version::Resp3, 2);
        push(&mut out, Version::Resp3, 3);
        null(&mut out, Version::Resp2);
        assert_eq!(out.as_ref(), b"*4\r\n*3\r\n%2\r\n>3\r\n$-1\r\n");
    }
}

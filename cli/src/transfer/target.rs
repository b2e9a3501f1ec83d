//! Writes records: each part may be written again without harm.

use futures_util::future::join_all;
use restis::{Error, Redis, Reply};

use super::record::{Kind, Record};
use super::slot::text_key;

/// Runs a command whose arguments are percent-encoded: bytes that are not UTF-8 have no other way
/// into a request with several arguments.
const ENCODED: &str = "\
local function decoded(text)
  return (text:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end
local args = {}
for i = 1, #ARGV do args[i] = decoded(ARGV[i]) end
return redis.call(unpack(args))";

/// Appends to a list that has the items of the parts before and no more.
const APPEND: &str = "\
local function decoded(text)
  return (text:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end
local key = decoded(ARGV[1])
if redis.call('LLEN', key) ~= tonumber(ARGV[2]) then return 0 end
local args = {}
for i = 3, #ARGV do args[i - 2] = decoded(ARGV[i]) end
return redis.call('RPUSH', key, unpack(args))";

/// A command's arguments; the second is the key.
type Args = Vec<Vec<u8>>;

fn command(parts: &[&[u8]]) -> Args {
    parts.iter().map(|part| part.to_vec()).collect()
}

/// What a target can hold beside the common types; see `probe`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    pub(super) field_ttls: bool,
    /// `XSETID`, and what `XGROUP CREATE` says of entries that were read.
    pub(super) stream_numbers: bool,
}

/// The commands that make a record, in order.
pub(super) fn commands(record: &Record, abilities: Abilities) -> Vec<Args> {
    let key = &*record.k.0;
    let mut all = Vec::new();
    if record.p == 0 {
        all.push(command(&[b"DEL", key]));
    }
    let with_items = |name: &str| {
        let mut args = command(&[name.as_bytes(), key]);
        args.extend(record.d.iter().map(|item| item.0.clone()));
        args
    };
    let first = record.d.first().map(|item| &*item.0).unwrap_or_default();
    match record.t {
        Kind::String if record.p == 0 => all.push(command(&[b"SET", key, first])),
        Kind::String => {
            let offset = record.o.to_string();
            all.push(command(&[b"SETRANGE", key, offset.as_bytes(), first]));
        }
        Kind::Json => all.push(command(&[b"JSON.SET", key, b"$", first])),
        Kind::Dump => all.push(command(&[b"RESTORE", key, b"0", first, b"REPLACE"])),
        Kind::Stream => stream(record, abilities, &mut all),
        _ if record.d.is_empty() => {}
        Kind::List if record.p == 0 => all.push(with_items("RPUSH")),
        Kind::List => all.push(append(record)),
        Kind::Set => all.push(with_items("SADD")),
        Kind::Hash => {
            all.push(with_items("HSET"));
            if abilities.field_ttls {
                field_ttls(record, &mut all);
            }
        }
        Kind::Zset => {
            let mut args = command(&[b"ZADD", key]);
            for pair in record.d.chunks_exact(2) {
                args.extend([pair[1].0.clone(), pair[0].0.clone()]);
            }
            all.push(args);
        }
    }
    if let (false, Some(at)) = (record.more, record.x) {
        all.push(command(&[b"PEXPIREAT", key, at.to_string().as_bytes()]));
    }
    all
}

fn append(record: &Record) -> Args {
    // The declared key leads to its node in a cluster.
    let declared = text_key(&record.k.0);
    let mut args = command(&[b"EVAL", APPEND.as_bytes(), b"1", &declared]);
    args.push(encoded(&record.k.0));
    args.push(record.o.to_string().into_bytes());
    args.extend(record.d.iter().map(|item| encoded(&item.0)));
    args
}

/// The fields of each time by one command.
fn field_ttls(record: &Record, all: &mut Vec<Args>) {
    let fields = record.d.iter().step_by(2).zip(&record.e);
    let mut fields: Vec<(u64, &[u8])> = fields
        .filter(|(_, at)| **at > 0)
        .map(|(field, at)| (*at, &*field.0))
        .collect();
    fields.sort_unstable();
    for group in fields.chunk_by(|a, b| a.0 == b.0) {
        let (at, count) = (group[0].0.to_string(), group.len().to_string());
        let mut args = command(&[
            b"HPEXPIREAT",
            &record.k.0,
            at.as_bytes(),
            b"FIELDS",
            count.as_bytes(),
        ]);
        args.extend(group.iter().map(|(_, field)| field.to_vec()));
        all.push(args);
    }
}

fn stream(record: &Record, abilities: Abilities, all: &mut Vec<Args>) {
    let key = &*record.k.0;
    let mut items = record.d.iter().map(|item| &*item.0);
    while let (Some(id), Some(count)) = (items.next(), items.next()) {
        let count = std::str::from_utf8(count).ok().and_then(|c| c.parse().ok());
        let mut args = command(&[b"XADD", key, id]);
        args.extend(items.by_ref().take(count.unwrap_or(0)).map(<[u8]>::to_vec));
        all.push(args);
    }
    if let Some(state) = &record.s {
        let last = state.last.as_bytes();
        if abilities.stream_numbers {
            // It makes the stream when there was no entry.
            all.push(command(&[
                b"XGROUP",
                key,
                b"CREATE",
                b"restis",
                b"0",
                b"MKSTREAM",
            ]));
            all.push(command(&[b"XGROUP", key, b"DESTROY", b"restis"]));
            let mut args = command(&[b"XSETID", key, last]);
            if let (Some(added), Some(deleted)) = (state.added, &state.deleted) {
                args.extend(command(&[
                    b"ENTRIESADDED",
                    added.to_string().as_bytes(),
                    b"MAXDELETEDID",
                    deleted.as_bytes(),
                ]));
            }
            all.push(args);
        } else {
            // An entry that is deleted at once leaves its id; it fails where the last entry has it.
            all.push(command(&[b"XADD", key, last, b"-", b"-"]));
            if record.o == 0 || state.deleted.as_deref() == Some(&*state.last) {
                all.push(command(&[b"XDEL", key, last]));
            }
        }
        for group in &state.groups {
            let name = &*group.name.0;
            let mut args = command(&[b"XGROUP", key, b"CREATE", name, group.last.as_bytes()]);
            if let (Some(read), true) = (group.read, abilities.stream_numbers) {
                args.extend(command(&[b"ENTRIESREAD", read.to_string().as_bytes()]));
            }
            all.push(args);
            for consumer in &group.consumers {
                all.push(command(&[
                    b"XGROUP",
                    key,
                    b"CREATECONSUMER",
                    name,
                    &consumer.0,
                ]));
            }
        }
    }
    if let Some(pending) = &record.g {
        for (id, consumer, at, deliveries) in &pending.entries {
            all.push(command(&[
                b"XCLAIM",
                key,
                &pending.group.0,
                &consumer.0,
                b"0",
                id.as_bytes(),
                b"TIME",
                at.to_string().as_bytes(),
                b"RETRYCOUNT",
                deliveries.to_string().as_bytes(),
                b"FORCE",
                b"JUSTID",
            ]));
        }
    }
    // The subcommand stands before the key.
    for args in all.iter_mut().filter(|args| args[0] == b"XGROUP") {
        if args[1] == key {
            args.swap(1, 2);
        }
    }
}

/// Bytes as text that `ENCODED` decodes.
fn encoded(bytes: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii() && byte != b'%' {
            text.push(byte);
        } else {
            let digit = |half: u8| HEX[usize::from(half & 15)];
            text.extend([b'%', digit(byte >> 4), digit(byte)]);
        }
    }
    text
}

/// Sends commands together, in order; the replies.
pub(super) async fn send(redis: &Redis, commands: &[Args]) -> Vec<Result<Reply, Error>> {
    let sent = commands.iter().map(|args| async {
        let is_text = args.iter().all(|arg| std::str::from_utf8(arg).is_ok());
        if is_text {
            let name = String::from_utf8_lossy(&args[0]);
            return redis.command(&name).args(&args[1..]).query::<Reply>().await;
        }
        let key = match &*args[0] {
            b"XGROUP" | b"XINFO" | b"MEMORY" => args.get(2),
            _ => args.get(1),
        };
        let key = text_key(key.map_or(&[], Vec::as_slice));
        let eval = redis.command("EVAL").arg(ENCODED).arg(1).arg(&*key);
        eval.args(args.iter().map(|arg| encoded(arg)))
            .query::<Reply>()
            .await
    });
    join_all(sent).await
}

/// Whether an error only says that this was written before.
pub(super) fn is_repeat(args: &[Vec<u8>], error: &Error) -> bool {
    let text = error.server_message().unwrap_or_default();
    match &*args[0] {
        b"XADD" => text.contains("equal or smaller"),
        b"XGROUP" => error.code() == Some("BUSYGROUP") || text.contains("BUSYGROUP"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::record::Bytes;

    #[test]
    fn any_bytes_are_text_once_they_are_encoded() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = encoded(&bytes);
        assert!(text.is_ascii());
        assert!(text.ends_with(b"%FE%FF") && text.contains(&b'a'));
        assert_eq!(encoded(b"100%"), b"100%25");
    }

    #[test]
    fn a_part_that_is_not_the_first_deletes_nothing() {
        let mut record = Record::new(b"k", Kind::List);
        record.d = vec![Bytes(b"v".to_vec())];
        (record.p, record.o, record.x) = (1, 7, Some(5));
        let abilities = Abilities {
            field_ttls: true,
            stream_numbers: true,
        };
        let names: Vec<Vec<u8>> = commands(&record, abilities)
            .into_iter()
            .map(|c| c[0].clone())
            .collect();
        assert_eq!(names, [b"EVAL".to_vec(), b"PEXPIREAT".to_vec()]);
    }
}

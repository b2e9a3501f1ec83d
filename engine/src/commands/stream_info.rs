//! XINFO: what a stream, its groups and their consumers look like.

use super::stream_args::{self as sa, bad_subcommand};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, NO_SUCH_KEY};
use crate::parse::Walk;
use crate::reply::Reply;
use crate::stream::{Group, Stream, StreamId};

/// Entries and pending entries a FULL reply shows when no COUNT is given.
const FULL_COUNT: usize = 10;

const XINFO_HELP: [&str; 4] = [
    "STREAM <key> [FULL [COUNT <n>]] - a stream",
    "GROUPS <key> - the groups of a stream",
    "CONSUMERS <key> <group> - the consumers of a group",
    "HELP - this message",
];

fn xinfo(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = args[1].to_ascii_uppercase();
    let arity = match &*sub {
        b"STREAM" => 3..=6,
        b"GROUPS" => 3..=3,
        b"CONSUMERS" => 4..=4,
        b"HELP" if args.len() == 2 => return Ok(Reply::array(XINFO_HELP.map(Reply::bulk))),
        b"HELP" => return Err(Error::wrong_arity("xinfo|help")),
        _ => {
            let sub = String::from_utf8_lossy(args[1]);
            return Err(Error::new(format!(
                "ERR unknown subcommand '{sub}'. Try XINFO HELP."
            )));
        }
    };
    if !arity.contains(&args.len()) {
        return Err(Error::wrong_arity(&format!(
            "xinfo|{}",
            String::from_utf8_lossy(&sub)
        )));
    }
    let now = ctx.now();
    let stream = ctx.db.read_stream(args[2])?.ok_or(NO_SUCH_KEY)?;
    match &*sub {
        b"GROUPS" => Ok(Reply::array(stream.groups().iter().map(|(name, group)| {
            flat([
                ("name", Reply::Bulk(name.clone())),
                ("consumers", Reply::len(group.consumers().len())),
                ("pending", Reply::len(group.pending().len())),
                ("last-delivered-id", sa::id_reply(group.last_id)),
                ("entries-read", known(group.entries_read)),
                ("lag", known(stream.lag(group))),
            ])
        }))),
        // Upstash answers an unknown group with no consumers, where Redis has an error.
        b"CONSUMERS" => Ok(stream
            .group(args[3])
            .map_or(Reply::empty(), |group| consumers(group, now))),
        _ => {
            let mut walk = Walk::new(args, 3);
            if walk.is_empty() {
                return Ok(overview(stream));
            }
            let mut count = FULL_COUNT;
            if !walk.word("FULL") {
                return Err(bad_subcommand("XINFO", args[1]));
            }
            if !walk.is_empty() {
                if !walk.word("COUNT") || walk.is_empty() {
                    return Err(bad_subcommand("XINFO", args[1]));
                }
                // 0 means all.
                count = usize::try_from(walk.need_int()?).unwrap_or(FULL_COUNT);
                count = if count == 0 { usize::MAX } else { count };
            }
            if walk.is_empty() {
                Ok(full(stream, count))
            } else {
                Err(bad_subcommand("XINFO", args[1]))
            }
        }
    }
}

fn consumers(group: &Group, now: u64) -> Reply {
    Reply::array(group.consumers().iter().map(|(name, consumer)| {
        let inactive = consumer
            .active
            .map_or(-1, |active| now.saturating_sub(active) as i64);
        flat([
            ("name", Reply::Bulk(name.clone())),
            ("pending", Reply::len(consumer.pending.len())),
            ("idle", Reply::Int(now.saturating_sub(consumer.seen) as i64)),
            ("inactive", Reply::Int(inactive)),
        ])
    }))
}

fn counters(stream: &Stream) -> [(&'static str, Reply); 7] {
    [
        ("length", Reply::len(stream.len())),
        ("radix-tree-keys", Reply::len(stream.nodes())),
        ("radix-tree-nodes", Reply::len(stream.nodes() + 1)),
        ("last-generated-id", sa::id_reply(stream.last_id())),
        (
            "max-deleted-entry-id",
            sa::id_reply(stream.max_deleted_id()),
        ),
        ("entries-added", Reply::Int(stream.entries_added() as i64)),
        ("recorded-first-entry-id", sa::id_reply(stream.first_id())),
    ]
}

/// What is known of producers, once there is something.
fn producers(stream: &Stream) -> impl Iterator<Item = (&'static str, Reply)> {
    stream.idempotency().into_iter().flat_map(|producers| {
        let settings = producers.settings();
        [
            ("idmp-duration", Reply::Int(settings.duration_s.into())),
            ("idmp-maxsize", Reply::Int(settings.max_size.into())),
            ("pids-tracked", Reply::len(producers.producers())),
            ("iids-tracked", Reply::len(producers.tracked())),
            ("iids-added", Reply::Int(producers.added() as i64)),
            ("iids-duplicates", Reply::Int(producers.duplicates() as i64)),
        ]
    })
}

fn overview(stream: &Stream) -> Reply {
    flat(
        counters(stream)
            .into_iter()
            .chain(producers(stream))
            .chain([
                ("groups", Reply::len(stream.groups().len())),
                (
                    "first-entry",
                    stream.first().map_or(Reply::Nil, sa::entry_reply),
                ),
                (
                    "last-entry",
                    stream.last().map_or(Reply::Nil, sa::entry_reply),
                ),
            ]),
    )
}

fn full(stream: &Stream, count: usize) -> Reply {
    let entries = stream
        .range(StreamId::MIN, StreamId::MAX)
        .take(count)
        .map(sa::entry_reply);
    let groups = stream.groups().iter().map(|(name, group)| {
        let pending = group.pending().iter().take(count).map(|(id, pending)| {
            Reply::Array(vec![
                sa::id_reply(*id),
                Reply::Bulk(pending.consumer.clone().unwrap_or_default()),
                Reply::Int(pending.delivered_at as i64),
                Reply::Int(pending.deliveries as i64),
            ])
        });
        flat([
            ("name", Reply::Bulk(name.clone())),
            ("last-delivered-id", sa::id_reply(group.last_id)),
            ("entries-read", known(group.entries_read)),
            ("lag", known(stream.lag(group))),
            ("pel-count", Reply::len(group.pending().len())),
            ("pending", Reply::array(pending)),
            ("consumers", full_consumers(group, count)),
        ])
    });
    flat(
        counters(stream)
            .into_iter()
            .chain(producers(stream))
            .chain([
                ("entries", Reply::array(entries)),
                ("groups", Reply::array(groups)),
            ]),
    )
}

fn full_consumers(group: &Group, count: usize) -> Reply {
    Reply::array(group.consumers().iter().map(|(name, consumer)| {
        let pending = consumer.pending.iter().take(count).filter_map(|id| {
            let pending = group.pending().get(id)?;
            Some(Reply::Array(vec![
                sa::id_reply(*id),
                Reply::Int(pending.delivered_at as i64),
                Reply::Int(pending.deliveries as i64),
            ]))
        });
        flat([
            ("name", Reply::Bulk(name.clone())),
            ("seen-time", Reply::Int(consumer.seen as i64)),
            (
                "active-time",
                Reply::Int(consumer.active.map_or(-1, |active| active as i64)),
            ),
            ("pel-count", Reply::len(consumer.pending.len())),
            ("pending", Reply::array(pending)),
        ])
    }))
}

fn known(value: Option<u64>) -> Reply {
    value.map_or(Reply::Nil, |value| Reply::Int(value as i64))
}

fn flat(fields: impl IntoIterator<Item = (&'static str, Reply)>) -> Reply {
    Reply::array(
        fields
            .into_iter()
            .flat_map(|(name, value)| [Reply::bulk(name), value]),
    )
}

pub(crate) const COMMANDS: &[Spec] = &[Spec::read(
    "XINFO",
    -2,
    Keys::Range {
        first: 2,
        last: 2,
        step: 1,
    },
    Category::Stream,
    xinfo,
)];

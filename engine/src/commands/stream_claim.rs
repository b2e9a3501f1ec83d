//! Consumer groups: what is pending, and claiming it for another consumer.

use super::stream_args as sa;
use super::stream_group::{CONSUMER_MADE, cost_of_consumer, no_such_group, stream_of_group, text};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::stream::{Claim, Group, Stream, StreamId};

fn xpending(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[1], args[2]);
    let mut walk = Walk::new(args, 3);
    if args.len() != 3 && !(6..=9).contains(&args.len()) {
        return Err(SYNTAX);
    }
    if walk.is_empty() {
        let stream = ctx.db.read::<Stream>(key)?;
        let group = stream.and_then(|stream| stream.group(name));
        return group.map(summary).ok_or_else(|| no_such_group(key, name));
    }
    let mut min_idle = 0;
    if walk.word("IDLE") {
        min_idle = u64::try_from(walk.need_int()?).unwrap_or(0);
        if walk.len() < 3 {
            return Err(SYNTAX);
        }
    }
    let (first, last) = (walk.need()?, walk.need()?);
    let count = usize::try_from(walk.need_int()?).unwrap_or(0);
    let (first, last) = (sa::range_start(first)?, sa::range_end(last)?);
    // Redis ignores what follows.
    let consumer = walk.take();
    let now = ctx.now();
    let stream = ctx.db.read::<Stream>(key)?;
    let group = stream
        .and_then(|stream| stream.group(name))
        .ok_or_else(|| no_such_group(key, name))?;
    if first > last {
        return Ok(Reply::empty());
    }
    let rows = group
        .pending()
        .range(first..=last)
        .filter(|(_, pending)| {
            consumer.is_none_or(|consumer| pending.consumer.as_deref() == Some(consumer))
        })
        .map(|(id, pending)| (id, pending, pending.idle(now)))
        .filter(|(_, _, idle)| idle.is_none_or(|idle| idle >= min_idle))
        .take(count)
        .map(|(id, pending, idle)| {
            Reply::Array(vec![
                sa::id_reply(*id),
                Reply::Bulk(pending.consumer.clone().unwrap_or_default()),
                Reply::Int(idle.map_or(-1, |idle| idle as i64)),
                Reply::Int(pending.deliveries as i64),
            ])
        });
    Ok(Reply::array(rows))
}

fn summary(group: &Group) -> Reply {
    let (Some((first, _)), Some((last, _))) = (
        group.pending().first_key_value(),
        group.pending().last_key_value(),
    ) else {
        return Reply::Array(vec![Reply::Int(0), Reply::Nil, Reply::Nil, Reply::NilArray]);
    };
    let consumers = group
        .consumers()
        .iter()
        .filter(|(_, state)| !state.pending.is_empty())
        .map(|(name, state)| {
            Reply::Array(vec![
                Reply::Bulk(name.clone()),
                Reply::bulk(state.pending.len().to_string()),
            ])
        });
    Reply::Array(vec![
        Reply::len(group.pending().len()),
        sa::id_reply(*first),
        sa::id_reply(*last),
        Reply::array(consumers),
    ])
}

fn xclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, group, consumer) = (args[1], args[2], args[3]);
    let now = ctx.now();
    stream_of_group(ctx, key, group)?;
    let min_idle = parse::int_or(
        args[4],
        Error::fixed("ERR Invalid min-idle-time argument for XCLAIM"),
    )?;
    let mut walk = Walk::new(args, 5);
    let mut ids = Vec::new();
    while let Some(id) = walk.peek().and_then(|text| StreamId::parse(text, 0)) {
        ids.push(id);
        walk.take();
    }
    let mut claim = Claim {
        min_idle: u64::try_from(min_idle).unwrap_or(0),
        delivered_at: now,
        now,
        deliveries: None,
        force: false,
        just_id: false,
    };
    let mut last_id = None;
    while !walk.is_empty() {
        let has_value = walk.len() > 1;
        if walk.word("FORCE") {
            claim.force = true;
        } else if walk.word("JUSTID") {
            claim.just_id = true;
        } else if has_value && walk.word("IDLE") {
            let idle = parse::int_or(
                walk.need()?,
                Error::fixed("ERR Invalid IDLE option argument for XCLAIM"),
            )?;
            claim.delivered_at =
                u64::try_from(i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(idle))
                    .unwrap_or(now);
        } else if has_value && walk.word("TIME") {
            let time = parse::int_or(
                walk.need()?,
                Error::fixed("ERR Invalid TIME option argument for XCLAIM"),
            )?;
            claim.delivered_at = u64::try_from(time).unwrap_or(now);
        } else if has_value && walk.word("RETRYCOUNT") {
            let count = parse::int_or(
                walk.need()?,
                Error::fixed("ERR Invalid RETRYCOUNT option argument for XCLAIM"),
            )?;
            claim.deliveries = u64::try_from(count).ok();
        } else if has_value && walk.word("LASTID") {
            last_id = Some(sa::id(walk.need()?)?);
        } else {
            let option = text(walk.need()?);
            return Err(Error::new(format!(
                "ERR Unrecognized XCLAIM option '{option}'"
            )));
        }
    }
    claim.delivered_at = claim.delivered_at.min(now);
    let forced = if claim.force { ids.len() } else { 0 };
    let new_consumer = cost_of_consumer(ctx, key, group, consumer)?;
    ctx.make_room(new_consumer + forced * Group::PER_PENDING)?;
    let stream = stream_of_group(ctx, key, group)?;
    if let Some(state) = stream.group_mut(group) {
        if let Some(last_id) = last_id.filter(|&id| id > state.last_id) {
            state.last_id = last_id;
        }
        state.see(consumer, now);
    }
    let mut replies = Vec::new();
    for id in ids {
        if let Taken::Claimed(reply) = take(stream, group, consumer, id, claim) {
            replies.push(reply);
        }
    }
    if new_consumer > 0 {
        ctx.db.notify(Event::STREAM, CONSUMER_MADE, key);
    }
    Ok(Reply::Array(replies))
}

enum Taken {
    Claimed(Reply),
    Refused,
    /// The entry is gone; it is not pending any more.
    Gone,
}

fn take(stream: &mut Stream, name: &[u8], consumer: &[u8], id: StreamId, claim: Claim) -> Taken {
    let reply = match stream.get(id) {
        Some(_) if claim.just_id => Some(sa::id_reply(id)),
        entry => entry.map(sa::entry_reply),
    };
    let Some(group) = stream.group_mut(name) else {
        return Taken::Refused;
    };
    match reply {
        None if group.acknowledge(id) => Taken::Gone,
        Some(reply) if group.claim(id, consumer, claim) => {
            group.touch(consumer, claim.now);
            Taken::Claimed(reply)
        }
        _ => Taken::Refused,
    }
}

/// The largest COUNT of XAUTOCLAIM, as in Redis.
const MOST_CLAIMED: usize = i64::MAX as usize / 16;

fn xautoclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, group, consumer) = (args[1], args[2], args[3]);
    let min_idle = parse::int_or(
        args[4],
        Error::fixed("ERR Invalid min-idle-time argument for XAUTOCLAIM"),
    )?;
    let start = sa::range_start(args[5])?;
    let (mut count, mut just_id) = (100, false);
    let mut walk = Walk::new(args, 6);
    while !walk.is_empty() {
        if walk.len() > 1 && walk.word("COUNT") {
            const BAD: Error = Error::fixed("ERR COUNT must be > 0");
            count = usize::try_from(parse::int_or(walk.need()?, BAD)?)
                .ok()
                .filter(|&n| n > 0 && n <= MOST_CLAIMED)
                .ok_or(BAD)?;
        } else if walk.word("JUSTID") {
            just_id = true;
        } else {
            return Err(SYNTAX);
        }
    }
    let now = ctx.now();
    let new_consumer = cost_of_consumer(ctx, key, group, consumer)?;
    ctx.make_room(new_consumer)?;
    let stream = stream_of_group(ctx, key, group)?;
    let Some(state) = stream.group_mut(group) else {
        return Err(no_such_group(key, group));
    };
    state.see(consumer, now);
    // One more than is looked at: where the next call starts.
    let looked_at = count.saturating_mul(10);
    let ids: Vec<StreamId> = state
        .pending()
        .range(start..)
        .take(looked_at.saturating_add(1))
        .map(|(&id, _)| id)
        .collect();
    let claim = Claim {
        min_idle: u64::try_from(min_idle).unwrap_or(0),
        delivered_at: now,
        now,
        deliveries: None,
        force: false,
        just_id,
    };
    let (mut claimed, mut gone, mut next) = (Vec::new(), Vec::new(), StreamId::MIN);
    for (at, id) in ids.into_iter().enumerate() {
        if at == looked_at || claimed.len() + gone.len() == count {
            next = id;
            break;
        }
        match take(stream, group, consumer, id, claim) {
            Taken::Claimed(reply) => claimed.push(reply),
            Taken::Gone => gone.push(sa::id_reply(id)),
            Taken::Refused => {}
        }
    }
    if new_consumer > 0 {
        ctx.db.notify(Event::STREAM, CONSUMER_MADE, key);
    }
    Ok(Reply::Array(vec![
        sa::id_reply(next),
        Reply::Array(claimed),
        Reply::Array(gone),
    ]))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("XPENDING", -3, Keys::ONE, Category::Stream, xpending),
    Spec::write("XCLAIM", -6, Keys::ONE, Category::Stream, xclaim).fast(),
    Spec::write("XAUTOCLAIM", -6, Keys::ONE, Category::Stream, xautoclaim).fast(),
];

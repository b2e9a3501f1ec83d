//! XNACK: a consumer gives entries back to its group.

use super::stream_args as sa;
use super::stream_group::stream_of_group;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, SYNTAX};
use crate::num;
use crate::parse::Walk;
use crate::reply::Reply;
use crate::stream::{Deliveries, Group, Release, StreamId};

fn xnack(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[1], args[2]);
    let mut walk = Walk::new(args, 3);
    let modes = [
        ("SILENT", Deliveries::Less),
        ("FAIL", Deliveries::Same),
        ("FATAL", Deliveries::Most),
    ];
    let mode = modes.into_iter().find(|(word, _)| walk.word(word));
    let (_, deliveries) = mode.ok_or(Error::fixed("ERR mode must be SILENT, FAIL, or FATAL"))?;
    let mut release = Release {
        deliveries,
        force: false,
    };
    let mut ids: Option<Vec<StreamId>> = None;
    while !walk.is_empty() {
        if walk.word("IDS") {
            let count = num::parse_i64(walk.need()?)
                .and_then(|count| usize::try_from(count).ok())
                .filter(|&count| count > 0)
                .ok_or(Error::fixed("ERR Number of IDs must be a positive integer"))?;
            let texts = walk.need_many(count).map_err(|_| {
                Error::fixed("ERR The `numids` parameter must match the number of arguments")
            })?;
            ids = Some(sa::ids(texts)?);
        } else if walk.word("RETRYCOUNT") {
            let count = num::parse_i64(walk.need()?).and_then(|count| u64::try_from(count).ok());
            release.deliveries = Deliveries::Given(count.ok_or(Error::fixed(
                "ERR Invalid RETRYCOUNT option argument for XNACK",
            ))?);
        } else if walk.word("FORCE") {
            release.force = true;
        } else {
            return Err(SYNTAX);
        }
    }
    let mut ids = ids.ok_or(SYNTAX)?;
    let stream = stream_of_group(ctx, key, name)?;
    if release.force {
        let is_pending = |group: &Group, id| group.pending().contains_key(&id);
        let group = stream.group(name);
        ids.retain(|&id| {
            group.is_some_and(|group| is_pending(group, id)) || stream.get(id).is_some()
        });
        ctx.make_room(ids.len() * Group::PER_PENDING)?;
    }
    let stream = stream_of_group(ctx, key, name)?;
    let released = stream.group_mut(name).map_or(0, |group| {
        let released = ids.into_iter().filter(|&id| group.release(id, release));
        released.count()
    });
    Ok(Reply::len(released))
}

pub(crate) const COMMANDS: &[Spec] =
    &[Spec::write("XNACK", -7, Keys::ONE, Category::Stream, xnack).fast()];

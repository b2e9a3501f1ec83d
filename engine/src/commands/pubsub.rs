//! PUBLISH and PUBSUB.

use bytes::Bytes;

use crate::command::{Args, Category, Outcome};
use crate::ctx::{Ctx, Side, Spec};
use crate::error::Error;
use crate::parse;
use crate::reply::Reply;

fn publish(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let channel = Bytes::copy_from_slice(args[1]);
    let payload = Bytes::copy_from_slice(args[2]);
    let Side { hub, budget, .. } = &*ctx.side;
    Ok(Reply::len(hub.publish(&channel, &payload, budget)?))
}

fn pubsub(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Side { hub, budget, .. } = &*ctx.side;
    match args {
        [_, sub] if parse::is(sub, "CHANNELS") => Ok(Reply::array(
            hub.channels(b"*", budget).into_iter().map(Reply::Bulk),
        )),
        [_, sub, pattern] if parse::is(sub, "CHANNELS") => Ok(Reply::array(
            hub.channels(pattern, budget).into_iter().map(Reply::Bulk),
        )),
        [_, sub, channels @ ..] if parse::is(sub, "NUMSUB") => {
            Ok(Reply::array(channels.iter().flat_map(|channel| {
                [Reply::bulk(channel), Reply::len(hub.subscribers(channel))]
            })))
        }
        [_, sub] if parse::is(sub, "NUMPAT") => Ok(Reply::len(hub.patterns())),
        [_, sub, ..] => Err(Error::unknown_subcommand(sub)),
        _ => Err(Error::wrong_arity("pubsub")),
    }
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::other("PUBLISH", 3, Category::PubSub, publish).fast(),
    Spec::other("PUBSUB", -2, Category::PubSub, pubsub),
];

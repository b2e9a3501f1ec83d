//! XADD and XCFGSET: entries, and what is remembered of those who add them.

use super::stream_args::{self as sa, TrimArgs};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NO_SUCH_KEY, SYNTAX};
use crate::parse::Walk;
use crate::reply::Reply;
use crate::stream::{Fields, IdError, Idempotency, MessageId, NewId, Settings, Stream, StreamId};

const ZERO_ID: Error = Error::fixed("ERR The ID specified in XADD must be greater than 0-0");

fn id_error(error: IdError) -> Error {
    match error {
        IdError::Zero => ZERO_ID,
        IdError::TooSmall => Error::fixed(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        IdError::Exhausted => Error::fixed(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ),
    }
}

/// Who sends a message, and its id if the producer gives it one.
#[derive(Debug, Clone, Copy)]
struct Producer<'a> {
    name: &'a [u8],
    message: Option<&'a [u8]>,
}

impl<'a> Producer<'a> {
    /// Takes `IDMP producer id` or `IDMPAUTO producer`; `None` if the next argument is neither.
    fn take(walk: &mut Walk<'a>) -> Result<Option<Self>, Error> {
        // An option's name without a value is taken for an id, as the others are.
        let (name, message) = if walk.len() > 2 && walk.word("IDMP") {
            (walk.need()?, Some(walk.need()?))
        } else if walk.len() > 1 && walk.word("IDMPAUTO") {
            (walk.need()?, None)
        } else {
            return Ok(None);
        };
        match (name, message) {
            (b"", Some(_)) => Err(Error::fixed("ERR IDMP requires a non-empty producer ID")),
            (b"", None) => Err(Error::fixed(
                "ERR IDMPAUTO requires a non-empty producer ID",
            )),
            (_, Some(b"")) => Err(Error::fixed("ERR IDMP requires a non-empty idempotent ID")),
            _ => Ok(Some(Self { name, message })),
        }
    }
}

fn xadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut walk = Walk::new(args, 2);
    let mut trim = TrimArgs::default();
    let mut producer = None;
    let mut create = true;
    let id = loop {
        match walk.peek() {
            None => return Err(Error::wrong_arity("xadd")),
            Some(b"*") => {
                walk.take();
                break NewId::Auto;
            }
            Some(_) if walk.word("NOMKSTREAM") => create = false,
            Some(_) if trim.option(&mut walk)? => {}
            Some(id) => {
                if let Some(named) = Producer::take(&mut walk)? {
                    if producer.replace(named).is_some() {
                        return Err(Error::fixed("ERR IDMP/IDMPAUTO specified multiple times"));
                    }
                    continue;
                }
                let id = sa::new_id(id)?;
                walk.take();
                break id;
            }
        }
    };
    let trim = trim.finish()?;
    let fields = walk.rest();
    if fields.is_empty() || fields.len() % 2 == 1 {
        return Err(Error::wrong_arity("xadd"));
    }
    if id == NewId::Given(StreamId::MIN) {
        return Err(ZERO_ID);
    }
    if producer.is_some() && id != NewId::Auto {
        return Err(Error::fixed(
            "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs",
        ));
    }
    if !create && ctx.db.read::<Stream>(key)?.is_none() {
        return Ok(Reply::Nil);
    }
    let now = ctx.now();
    let message = producer.map(|producer| {
        let id = producer.message.map(MessageId::given);
        (
            producer.name,
            id.unwrap_or_else(|| MessageId::of_fields(fields)),
        )
    });
    if let Some((producer, message)) = &message {
        let known = ctx.db.write::<Stream>(key)?.and_then(|stream| {
            let known = stream.idempotency()?.producers() > 0;
            known.then(|| stream.idempotency_mut().find(producer, message, now))?
        });
        if let Some(entry) = known {
            return Ok(sa::id_reply(entry));
        }
        ctx.make_room(Idempotency::PER_MESSAGE)?;
    }
    let stream = ctx.db.create::<Stream>(key)?;
    let id = stream.next_id(id, now).map_err(id_error)?;
    stream.append(id, Fields::pack(fields));
    if let Some((producer, message)) = message {
        let producers = stream.idempotency_mut();
        producers.remember(producer, message, id, now);
    }
    let trimmed = trim.map_or(0, |trim| stream.trim(&trim));
    ctx.db.notify(Event::STREAM, "xadd", key);
    if trimmed > 0 {
        ctx.db.notify(Event::STREAM, "xtrim", key);
    }
    Ok(sa::id_reply(id))
}

fn xcfgset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    if args.len() == 2 {
        return Err(Error::fixed(
            "ERR At least one parameter (IDMP-DURATION or IDMP-MAXSIZE) is required",
        ));
    }
    let mut walk = Walk::new(args, 2);
    let (mut duration, mut max_size) = (None, None);
    while !walk.is_empty() {
        if walk.word("IDMP-DURATION") {
            let value = u32::try_from(walk.need_int()?).ok();
            duration = Some(value.filter(|n| Settings::DURATION_S.contains(n)).ok_or(
                Error::fixed("ERR IDMP-DURATION must be between 1 and 86400 seconds"),
            )?);
        } else if walk.word("IDMP-MAXSIZE") {
            let value = u32::try_from(walk.need_int()?).ok();
            max_size = Some(value.filter(|n| Settings::MAX_SIZE.contains(n)).ok_or(
                Error::fixed("ERR IDMP-MAXSIZE must be between 1 and 10000 entries"),
            )?);
        } else {
            return Err(SYNTAX);
        }
    }
    let stream = ctx.db.read::<Stream>(key)?.ok_or(NO_SUCH_KEY)?;
    if stream.idempotency().is_none() {
        ctx.make_room(size_of::<Idempotency>())?;
    }
    let stream = ctx.db.write::<Stream>(key)?.ok_or(NO_SUCH_KEY)?;
    let producers = stream.idempotency_mut();
    let before = producers.settings();
    producers.configure(Settings {
        duration_s: duration.unwrap_or(before.duration_s),
        max_size: max_size.unwrap_or(before.max_size),
    });
    Ok(Reply::ok())
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("XADD", -5, Keys::ONE, Category::Stream, xadd)
        .fast()
        .denyoom(),
    Spec::write("XCFGSET", -2, Keys::ONE, Category::Stream, xcfgset).fast(),
];

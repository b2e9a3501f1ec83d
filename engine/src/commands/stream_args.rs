//! What the stream commands share: ids, trim options and the shape of entries.

use crate::error::{Error, SYNTAX};
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::stream::{Bound, Entry, References, StreamId, Threshold, Trim};

const INVALID_ID: Error =
    Error::fixed("ERR Invalid stream ID specified as stream command argument");

const LIMIT_WITHOUT_TILDE: Error =
    Error::fixed("ERR syntax error, LIMIT cannot be used without the special ~ option");

/// Entries a `~` trim removes at most when no LIMIT is given.
const DEFAULT_LIMIT: u64 = 100 * crate::stream::NODE_ENTRIES as u64;

pub(super) fn id_reply(id: StreamId) -> Reply {
    Reply::bulk(id.to_string())
}

/// `[id, [field, value, …]]`
pub(super) fn entry_reply(entry: &Entry) -> Reply {
    let fields = entry.fields.iter().map(Reply::Bulk).collect();
    Reply::Array(vec![id_reply(entry.id), Reply::Array(fields)])
}

/// An id; without a sequence number it means the first of its millisecond.
pub(super) fn id(text: &[u8]) -> Result<StreamId, Error> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

pub(super) fn ids(texts: &[&[u8]]) -> Result<Vec<StreamId>, Error> {
    texts.iter().map(|text| id(text)).collect()
}

pub(super) fn new_id(text: &[u8]) -> Result<crate::stream::NewId, Error> {
    crate::stream::NewId::parse(text).ok_or(INVALID_ID)
}

/// The first id of a range.
pub(super) fn range_start(text: &[u8]) -> Result<StreamId, Error> {
    let bound = Bound::parse(text, 0).ok_or(INVALID_ID)?;
    bound
        .first()
        .ok_or(Error::fixed("ERR invalid start ID for the interval"))
}

/// The last id of a range; without a sequence number it means the last of its millisecond.
pub(super) fn range_end(text: &[u8]) -> Result<StreamId, Error> {
    let bound = Bound::parse(text, u64::MAX).ok_or(INVALID_ID)?;
    bound
        .last()
        .ok_or(Error::fixed("ERR invalid end ID for the interval"))
}

/// Takes `KEEPREF`, `DELREF` or `ACKED`.
pub(super) fn references(walk: &mut Walk<'_>) -> Option<References> {
    [
        ("KEEPREF", References::Keep),
        ("DELREF", References::Delete),
        ("ACKED", References::Acknowledged),
    ]
    .into_iter()
    .find_map(|(word, references)| walk.word(word).then_some(references))
}

/// `IDS numids id …`, the rest of the arguments.
pub(super) fn counted_ids(walk: &mut Walk<'_>) -> Result<Vec<StreamId>, Error> {
    if !walk.word("IDS") {
        return Err(SYNTAX);
    }
    let count = parse::int_or(
        walk.need()?,
        Error::fixed("ERR Number of IDs must be a positive integer"),
    )?;
    if count <= 0 {
        return Err(Error::fixed("ERR Number of IDs must be a positive integer"));
    }
    if usize::try_from(count) != Ok(walk.len()) {
        return Err(Error::fixed(
            "ERR The `numids` parameter must match the number of arguments",
        ));
    }
    ids(walk.rest())
}

/// Collects the trim options of XADD and XTRIM.
#[derive(Debug, Default)]
pub(super) struct TrimArgs {
    threshold: Option<Threshold>,
    approximate: bool,
    limit: Option<u64>,
    references: References,
}

impl TrimArgs {
    /// Takes one option; `false` if the next argument is none.
    pub(super) fn option(&mut self, walk: &mut Walk<'_>) -> Result<bool, Error> {
        // An option's name without a value is taken for something else, as Redis does.
        let has_value = walk.len() > 1;
        if has_value && walk.word("MAXLEN") {
            self.strategy(walk)?;
            let max = walk.need_int()?;
            let max = u64::try_from(max)
                .map_err(|_| Error::fixed("ERR The MAXLEN argument must be >= 0."))?;
            self.threshold = Some(Threshold::MaxLen(max));
        } else if has_value && walk.word("MINID") {
            self.strategy(walk)?;
            self.threshold = Some(Threshold::MinId(id(walk.need()?)?));
        } else if has_value && walk.word("LIMIT") {
            let limit = walk.need_int()?;
            let limit = u64::try_from(limit)
                .map_err(|_| Error::fixed("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
        } else if let Some(references) = references(walk) {
            self.references = references;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn strategy(&mut self, walk: &mut Walk<'_>) -> Result<(), Error> {
        if self.threshold.is_some() {
            return Err(Error::fixed(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        if walk.len() > 1 {
            self.approximate = walk.word("~");
            if !self.approximate {
                walk.word("=");
            }
        }
        Ok(())
    }

    /// The trim asked for, if any.
    pub(super) fn finish(self) -> Result<Option<Trim>, Error> {
        let Some(threshold) = self.threshold else {
            return match self.limit {
                Some(0) => Err(LIMIT_WITHOUT_TILDE),
                Some(_) => Err(Error::fixed(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
                None => Ok(None),
            };
        };
        if self.limit.is_some() && !self.approximate {
            return Err(LIMIT_WITHOUT_TILDE);
        }
        let limit = if self.approximate {
            Some(self.limit.unwrap_or(DEFAULT_LIMIT))
        } else {
            None
        };
        Ok(Some(Trim {
            threshold,
            approximate: self.approximate,
            limit: limit.filter(|&limit| limit > 0),
            references: self.references,
        }))
    }
}

/// A subcommand that exists, called with what it does not take.
pub(super) fn bad_subcommand(command: &str, sub: &[u8]) -> Error {
    let sub = String::from_utf8_lossy(sub);
    Error::new(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {command} HELP."
    ))
}

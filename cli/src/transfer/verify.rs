//! Compares a database with an export, key by key.

use std::io::{self, BufRead, Write as _};

use futures_util::future::join_all;
use restis::{Clock as _, Error, ErrorKind, FromReply, Redis, Reply, SystemClock};

use super::progress::Progress;
use super::record::{Bytes, Kind, Line, Lines, Pending, Record, StreamState};
use super::refused;
use super::source::{lacks_command, stream_state};
use super::target::{Abilities, send};
use crate::failure::Failure;

const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_RECORDS: usize = 500;
/// Differences that are told by name.
const MOST_TOLD: u64 = 20;

pub(super) async fn all<R: BufRead>(
    redis: &Redis,
    mut lines: Lines<R>,
    abilities: Abilities,
    mut progress: Progress,
) -> Result<(), Failure> {
    let (mut keys, mut different, mut ended) = (0_u64, 0_u64, false);
    // Of a key in several parts one difference is told.
    let mut last: Option<Bytes> = None;
    while !ended {
        let (mut batch, mut size) = (Vec::new(), 0);
        while size < BATCH_BYTES && batch.len() < BATCH_RECORDS {
            match lines.next().map_err(Failure::new)? {
                Some(Line::Key(record)) => {
                    size += record.size();
                    batch.push(record);
                }
                Some(Line::End(_)) | None => {
                    ended = true;
                    break;
                }
                Some(_) => {}
            }
        }
        let compared = join_all(
            batch
                .iter()
                .map(|record| difference(redis, record, abilities)),
        );
        for (record, found) in batch.iter().zip(compared.await) {
            keys += u64::from(!record.more);
            let found = match found {
                Err(error) if error.kind() == ErrorKind::WrongType => Some("has another type"),
                found => found.map_err(refused)?,
            };
            if let Some(what) = found
                && last.as_ref() != Some(&record.k)
            {
                different += 1;
                last = Some(record.k.clone());
                if different <= MOST_TOLD {
                    let key = record.k.0.escape_ascii();
                    let _ = writeln!(io::stderr(), "restis: {key}: {what}");
                }
            }
        }
        progress.at(keys, lines.offset);
    }
    progress.end();
    let _ = writeln!(io::stderr(), "{keys} keys compared, {different} differ");
    match different {
        0 => Ok(()),
        _ => Err(Failure::told(1)),
    }
}

/// What the database has otherwise, in words.
async fn difference(
    redis: &Redis,
    record: &Record,
    abilities: Abilities,
) -> Result<Option<&'static str>, Error> {
    let now = SystemClock::new().now_ms();
    // What ends within seconds may be gone already.
    if record.x.is_some_and(|at| at <= now + 2000) {
        return Ok(None);
    }
    let compare = Compare { redis, record };
    if !record.more {
        let at: i64 = compare.ask(&["PEXPIRETIME"], &[]).await?;
        if at == -2 {
            return Ok(Some("is missing"));
        }
        if u64::try_from(at).ok() != record.x {
            return Ok(Some("ends at another time"));
        }
    }
    let same = match record.t {
        Kind::String | Kind::List | Kind::Json | Kind::Dump => compare.in_order().await?,
        Kind::Set | Kind::Hash | Kind::Zset => compare.members().await?,
        Kind::Stream => compare.stream(abilities).await?,
    };
    if !same {
        return Ok(Some("has another value"));
    }
    let ends = abilities.field_ttls && record.t == Kind::Hash && !record.d.is_empty();
    Ok(match ends && !compare.field_ttls().await? {
        true => Some("has a field that ends at another time"),
        false => None,
    })
}

struct Compare<'a> {
    redis: &'a Redis,
    record: &'a Record,
}

impl Compare<'_> {
    /// A command about the key; `before` is its name, `after` follows the key.
    async fn ask<T: FromReply>(&self, before: &[&str], after: &[&[u8]]) -> Result<T, Error> {
        let mut args: Vec<Vec<u8>> = before.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        args.push(self.record.k.0.clone());
        args.extend(after.iter().map(|arg| arg.to_vec()));
        let mut replies = send(self.redis, &[args]).await;
        T::from_reply(replies.pop().unwrap_or(Ok(Reply::Nil))?)
    }

    /// Whether there are as many items as in all parts; known at the last one.
    async fn is_whole(&self, command: &str, items: u64) -> Result<bool, Error> {
        let Record { more, o, p, .. } = self.record;
        if *more {
            return Ok(true);
        }
        let there: u64 = self.ask(&[command], &[]).await?;
        // An iteration may tell a member twice.
        let iterated = *p > 0 && matches!(command, "SCARD" | "HLEN" | "ZCARD");
        Ok(there == o + items || iterated && there <= o + items)
    }

    async fn in_order(&self) -> Result<bool, Error> {
        let Record { d, o, t, .. } = self.record;
        let first = d.first().map(|item| &*item.0).unwrap_or_default();
        match t {
            Kind::String => {
                let end = (o + first.len() as u64).saturating_sub(1).to_string();
                let range = [o.to_string(), end];
                let args = [range[0].as_bytes(), range[1].as_bytes()];
                let there: Vec<u8> = self.ask(&["GETRANGE"], &args).await?;
                let same = first.is_empty() || there == first;
                Ok(same && self.is_whole("STRLEN", first.len() as u64).await?)
            }
            Kind::List => {
                let range = [
                    o.to_string(),
                    (o + d.len() as u64).saturating_sub(1).to_string(),
                ];
                let args = [range[0].as_bytes(), range[1].as_bytes()];
                let there: Vec<Vec<u8>> = self.ask(&["LRANGE"], &args).await?;
                let same = d.is_empty() || is_same(&there, d);
                Ok(same && self.is_whole("LLEN", d.len() as u64).await?)
            }
            Kind::Json => {
                let there: Option<Vec<u8>> = self.ask(&["JSON.GET"], &[]).await?;
                let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
                Ok(there.is_some_and(|there| value(&there) == value(first)))
            }
            _ => {
                let there: Option<Vec<u8>> = self.ask(&["DUMP"], &[]).await?;
                Ok(there.is_some_and(|there| there == first))
            }
        }
    }

    async fn members(&self) -> Result<bool, Error> {
        let Record { d, t, .. } = self.record;
        let names: Vec<&[u8]> = match t {
            Kind::Set => d.iter().map(|item| &*item.0).collect(),
            _ => d.iter().step_by(2).map(|item| &*item.0).collect(),
        };
        let values: Vec<&[u8]> = d.iter().skip(1).step_by(2).map(|item| &*item.0).collect();
        let (command, count) = match t {
            Kind::Set => ("SMISMEMBER", "SCARD"),
            Kind::Hash => ("HMGET", "HLEN"),
            _ => ("ZMSCORE", "ZCARD"),
        };
        if !names.is_empty() {
            let there: Vec<Option<Vec<u8>>> = match t {
                Kind::Set => {
                    let there: Vec<i64> = self.ask(&[command], &names).await?;
                    if there.iter().any(|is_member| *is_member != 1) {
                        return Ok(false);
                    }
                    Vec::new()
                }
                _ => self.ask(&[command], &names).await?,
            };
            let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
            let same = |(there, here): (&Option<Vec<u8>>, &&[u8])| {
                there.as_ref().is_some_and(|there| match t {
                    Kind::Zset => number(there) == number(here),
                    _ => there == here,
                })
            };
            if *t != Kind::Set && !there.iter().zip(&values).all(same) {
                return Ok(false);
            }
        }
        self.is_whole(count, names.len() as u64).await
    }

    async fn field_ttls(&self) -> Result<bool, Error> {
        let Record { d, e, .. } = self.record;
        let count = (d.len() / 2).to_string();
        let mut args: Vec<&[u8]> = vec![b"FIELDS", count.as_bytes()];
        args.extend(d.iter().step_by(2).map(|field| &*field.0));
        let there: Vec<i64> = match self.ask(&["HPEXPIRETIME"], &args).await {
            Ok(there) => there,
            // Then no field ends by itself.
            Err(error) if lacks_command(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        if there.is_empty() {
            return Ok(e.is_empty());
        }
        let at = |index: usize| e.get(index).copied().unwrap_or(0);
        let mut there = there.into_iter().enumerate();
        Ok(there.all(|(index, time)| u64::try_from(time).unwrap_or(0) == at(index)))
    }

    async fn stream(&self, abilities: Abilities) -> Result<bool, Error> {
        if let Some(state) = &self.record.s {
            let there = stream_state(self.redis, &self.record.k.0).await?;
            return Ok(is_same_state(state, &there, abilities));
        }
        if let Some(pending) = &self.record.g {
            return self.pending(pending).await;
        }
        let mut items = self.record.d.iter();
        let mut here = Vec::new();
        while let (Some(id), Some(count)) = (items.next(), items.next()) {
            let count = String::from_utf8_lossy(&count.0).parse().unwrap_or(0);
            let fields: Vec<Vec<u8>> = items.by_ref().take(count).map(|f| f.0.clone()).collect();
            here.push((String::from_utf8_lossy(&id.0).into_owned(), fields));
        }
        let (Some((first, _)), Some((last, _))) = (here.first(), here.last()) else {
            return Ok(true);
        };
        let args = [first.as_bytes(), last.as_bytes()];
        let there: Vec<(String, Vec<Vec<u8>>)> = self.ask(&["XRANGE"], &args).await?;
        Ok(there == here)
    }

    async fn pending(&self, pending: &Pending) -> Result<bool, Error> {
        let (Some((first, ..)), Some((last, ..))) =
            (pending.entries.first(), pending.entries.last())
        else {
            return Ok(true);
        };
        let count = pending.entries.len().to_string();
        let args: [&[u8]; 4] = [
            &pending.group.0,
            first.as_bytes(),
            last.as_bytes(),
            count.as_bytes(),
        ];
        let there: Vec<(String, Vec<u8>, u64, u64)> = self.ask(&["XPENDING"], &args).await?;
        let there = there
            .iter()
            .map(|(id, consumer, _, tries)| (id, consumer, *tries));
        let here = pending.entries.iter();
        Ok(there.eq(here.map(|(id, consumer, _, tries)| (id, &consumer.0, *tries))))
    }
}

fn is_same(there: &[Vec<u8>], here: &[Bytes]) -> bool {
    there.iter().eq(here.iter().map(|item| &item.0))
}

fn is_same_state(here: &StreamState, there: &StreamState, abilities: Abilities) -> bool {
    if here.last != there.last || here.groups.len() != there.groups.len() {
        return false;
    }
    let numbers = abilities.stream_numbers;
    if numbers && (here.added, &here.deleted) != (there.added, &there.deleted) {
        return false;
    }
    here.groups.iter().all(|group| {
        let same = there.groups.iter().find(|other| other.name == group.name);
        same.is_some_and(|other| {
            let consumers = group.consumers.iter().all(|c| other.consumers.contains(c));
            consumers && other.last == group.last && (!numbers || other.read == group.read)
        })
    })
}

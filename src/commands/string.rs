//! String commands. Source: <https://upstash.com/docs/redis/commands/string>.

use super::options::{ExpiryChange, pairs, word_and};
use super::string_options::{IncrExOptions, MSetExOptions, SetOptions};
use crate::{FromReply, Surface, ToArg};

/// Condition of [`StringCommands::delex`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum DeleteCondition<'a> {
    /// The value equals: `IFEQ`.
    Equals(&'a [u8]),
    /// The value differs: `IFNE`.
    Differs(&'a [u8]),
    /// The value's digest equals: `IFDEQ`.
    DigestEquals(&'a str),
    /// The value's digest differs: `IFDNE`.
    DigestDiffers(&'a str),
}

/// String commands.
pub trait StringCommands: Surface {
    /// `APPEND`: adds to the end; the new length in bytes.
    fn append(self, key: impl ToArg, value: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("APPEND").arg(key).arg(value))
    }
    /// `DECR`: subtracts one; the new value.
    fn decr(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("DECR").arg(key))
    }
    /// `DECRBY`: subtracts; the new value.
    fn decrby(self, key: impl ToArg, decrement: i64) -> Self::Out<i64> {
        self.submit(command!("DECRBY").arg(key).arg(decrement))
    }
    /// `DELEX`: deletes the key if its value fits, or in any case with `None`; whether it did.
    fn delex<'a>(
        self,
        key: impl ToArg,
        condition: impl Into<Option<DeleteCondition<'a>>>,
    ) -> Self::Out<bool> {
        let condition = condition.into();
        self.submit(command!("DELEX").arg(key).opt(|a| match condition {
            Some(DeleteCondition::Equals(v)) => word_and("IFEQ", v, a),
            Some(DeleteCondition::Differs(v)) => word_and("IFNE", v, a),
            Some(DeleteCondition::DigestEquals(d)) => word_and("IFDEQ", d, a),
            Some(DeleteCondition::DigestDiffers(d)) => word_and("IFDNE", d, a),
            None => {}
        }))
    }
    /// `DIGEST`: XXH3 of the value as 16 hexadecimal digits; `None` when absent.
    fn digest(self, key: impl ToArg) -> Self::Out<Option<String>> {
        self.submit(command!("DIGEST").arg(key))
    }
    /// `GET`: the value; `None` when absent.
    fn get<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("GET").arg(key))
    }
    /// `GETDEL`: the value, and deletes the key.
    fn getdel<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("GETDEL").arg(key))
    }
    /// `GETEX`: the value, and changes its time to live; `None` changes nothing.
    fn getex<T: FromReply>(
        self,
        key: impl ToArg,
        change: impl Into<Option<ExpiryChange>>,
    ) -> Self::Out<Option<T>> {
        let change = change.into();
        self.submit(command!("GETEX").arg(key).opt(|a| {
            if let Some(change) = change {
                change.write(a);
            }
        }))
    }
    /// `GETRANGE`: bytes from `start` to `end`, both included; negative counts from the end.
    fn getrange<T: FromReply>(self, key: impl ToArg, start: i64, end: i64) -> Self::Out<T> {
        self.submit(command!("GETRANGE").arg(key).arg(start).arg(end))
    }
    /// `GETSET`: sets and gives the old value.
    fn getset<T: FromReply>(self, key: impl ToArg, value: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("GETSET").arg(key).arg(value))
    }
    /// `INCR`: adds one; the new value.
    fn incr(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("INCR").arg(key))
    }
    /// `INCRBY`: adds; the new value.
    fn incrby(self, key: impl ToArg, increment: i64) -> Self::Out<i64> {
        self.submit(command!("INCRBY").arg(key).arg(increment))
    }
    /// `INCRBYFLOAT`: adds; the new value.
    fn incrbyfloat(self, key: impl ToArg, increment: f64) -> Self::Out<f64> {
        self.submit(command!("INCRBYFLOAT").arg(key).arg(increment))
    }
    /// `INCREX`: adds within bounds and sets the expiry; the new value and what was added, 0 out of
    /// bounds. Redis 8.8.
    ///
    /// A limit of 100 calls a minute is
    /// `increx(key, 1, IncrExOptions::new().at_most(100).expiry(minute).only_new_expiry())`.
    fn increx(
        self,
        key: impl ToArg,
        increment: i64,
        options: IncrExOptions<i64>,
    ) -> Self::Out<(i64, i64)> {
        let command = command!("INCREX").arg(key);
        self.submit(command.opt(|a| options.write("BYINT", increment, 1, a)))
    }
    /// `INCREX … BYFLOAT`: as [`increx`](Self::increx) for fractions.
    fn increx_float(
        self,
        key: impl ToArg,
        increment: f64,
        options: IncrExOptions<f64>,
    ) -> Self::Out<(f64, f64)> {
        let command = command!("INCREX").arg(key);
        self.submit(command.opt(|a| options.write("BYFLOAT", increment, f64::NAN, a)))
    }
    /// `MGET`: a value for each key, in order; `None` where absent.
    fn mget<T: FromReply>(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("MGET").args(keys))
    }
    /// `MSET`: sets several keys at once.
    fn mset(self, items: impl IntoIterator<Item = (impl ToArg, impl ToArg)>) -> Self::Out<()> {
        self.submit(command!("MSET").opt(pairs(items)))
    }
    /// `MSETEX`: sets several keys with one expiry; whether it did, which a condition decides for
    /// all of them. Redis 8.4.
    fn msetex(
        self,
        items: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
        options: MSetExOptions,
    ) -> Self::Out<bool> {
        let items: Vec<_> = items.into_iter().collect();
        let command = command!("MSETEX").arg(items.len()).opt(pairs(items));
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `MSETNX`: sets several keys if none exists; whether it did.
    fn msetnx(self, items: impl IntoIterator<Item = (impl ToArg, impl ToArg)>) -> Self::Out<bool> {
        self.submit(command!("MSETNX").opt(pairs(items)))
    }
    /// `PSETEX`: sets a value that expires after milliseconds.
    fn psetex(self, key: impl ToArg, millis: u64, value: impl ToArg) -> Self::Out<()> {
        self.submit(command!("PSETEX").arg(key).arg(millis).arg(value))
    }
    /// `SET`: sets a value and removes any expiry.
    fn set(self, key: impl ToArg, value: impl ToArg) -> Self::Out<()> {
        self.submit(command!("SET").arg(key).arg(value))
    }
    /// `SET` with options; whether the value was set.
    fn set_with(
        self,
        key: impl ToArg,
        value: impl ToArg,
        options: SetOptions,
    ) -> Self::Out<SetOutcome> {
        self.submit(
            command!("SET")
                .arg(key)
                .arg(value)
                .opt(|a| options.write(false, a)),
        )
    }
    /// `SET … GET`: sets and gives the old value; `None` when there was none.
    fn set_get<T: FromReply>(
        self,
        key: impl ToArg,
        value: impl ToArg,
        options: SetOptions,
    ) -> Self::Out<Option<T>> {
        self.submit(
            command!("SET")
                .arg(key)
                .arg(value)
                .opt(|a| options.write(true, a)),
        )
    }
    /// `SETEX`: sets a value that expires after seconds.
    fn setex(self, key: impl ToArg, seconds: u64, value: impl ToArg) -> Self::Out<()> {
        self.submit(command!("SETEX").arg(key).arg(seconds).arg(value))
    }
    /// `SETNX`: sets if the key is absent; whether it was.
    fn setnx(self, key: impl ToArg, value: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("SETNX").arg(key).arg(value))
    }
    /// `SETRANGE`: overwrites from an offset in bytes; the new length.
    fn setrange(self, key: impl ToArg, offset: u64, value: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("SETRANGE").arg(key).arg(offset).arg(value))
    }
    /// `SUBSTR`: the old name of [`getrange`](Self::getrange).
    fn substr<T: FromReply>(self, key: impl ToArg, start: i64, end: i64) -> Self::Out<T> {
        self.submit(command!("SUBSTR").arg(key).arg(start).arg(end))
    }
    /// `STRLEN`: the length in bytes; 0 when absent.
    fn strlen(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("STRLEN").arg(key))
    }
}

impl<S: Surface> StringCommands for S {}

/// Whether a conditional `SET` set the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOutcome {
    /// The value is set.
    Set,
    /// The condition was not met; nothing changed.
    NotSet,
}

impl SetOutcome {
    /// Whether the value is set.
    pub fn is_set(self) -> bool {
        self == Self::Set
    }
}

impl FromReply for SetOutcome {
    fn from_reply(reply: crate::Reply) -> crate::Result<Self> {
        Option::<()>::from_reply(reply).map(|set| set.map_or(Self::NotSet, |()| Self::Set))
    }
}

//! Hash commands. Source: <https://upstash.com/docs/redis/commands/hash>.

use super::{
    options::{ExpireCondition, Expiry, ExpiryChange, ScanOptions, counted, pairs},
    replies::Page,
};
use crate::{Args, Command, FromReply, Pairs, Surface, ToArg};

/// Options of [`HashCommands::hsetex`].
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct HSetExOptions {
    condition: Option<&'static str>,
    expiry: Option<Expiry>,
    keep_ttl: bool,
}

impl HSetExOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only if none of the fields exists: `FNX`.
    pub fn fnx(mut self) -> Self {
        self.condition = Some("FNX");
        self
    }
    /// Only if all of the fields exist: `FXX`.
    pub fn fxx(mut self) -> Self {
        self.condition = Some("FXX");
        self
    }
    /// The fields expire.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }
    /// Keeps the fields' time to live: `KEEPTTL`.
    pub fn keep_ttl(mut self) -> Self {
        self.keep_ttl = true;
        self
    }
    fn write(self, a: &mut Args) {
        if let Some(condition) = self.condition {
            condition.write(a);
        }
        if let Some(expiry) = self.expiry {
            expiry.write(a);
        }
        if self.keep_ttl {
            "KEEPTTL".write(a);
        }
    }
}

fn fields<F: ToArg>(fields: impl IntoIterator<Item = F>) -> impl FnOnce(&mut Args) {
    let write = counted(fields);
    move |a| {
        "FIELDS".write(a);
        write(a);
    }
}

fn expire<T>(
    command: Command<T>,
    key: impl ToArg,
    time: u64,
    condition: Option<ExpireCondition>,
    names: impl IntoIterator<Item: ToArg>,
) -> Command<T> {
    let command = command.arg(key).arg(time);
    let command = match condition {
        Some(condition) => command.arg(condition),
        None => command,
    };
    command.opt(fields(names))
}

/// Hash commands. Field expiry replies hold a code for each field: -2 no such field,
/// 0 condition not met, 1 set, 2 expired at once.
pub trait HashCommands: Surface {
    /// `HDEL`: deletes fields; how many existed.
    fn hdel(self, key: impl ToArg, names: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("HDEL").arg(key).args(names))
    }
    /// `HEXISTS`: whether the field exists.
    fn hexists(self, key: impl ToArg, field: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("HEXISTS").arg(key).arg(field))
    }
    /// `HGET`: the field's value; `None` when absent.
    fn hget<T: FromReply>(self, key: impl ToArg, field: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("HGET").arg(key).arg(field))
    }
    /// `HGETALL`: every field; a map or [`Pairs`].
    fn hgetall<T: FromReply>(self, key: impl ToArg) -> Self::Out<T> {
        self.submit(command!("HGETALL").arg(key))
    }
    /// `HGETDEL`: the fields' values, and deletes the fields.
    fn hgetdel<T: FromReply>(
        self,
        key: impl ToArg,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("HGETDEL").arg(key).opt(fields(names)))
    }
    /// `HGETEX`: the fields' values, and changes their time to live; `None` changes nothing.
    fn hgetex<T: FromReply>(
        self,
        key: impl ToArg,
        change: impl Into<Option<ExpiryChange>>,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<Option<T>>> {
        let change = change.into();
        let command = command!("HGETEX").arg(key).opt(|a| {
            if let Some(change) = change {
                change.write(a);
            }
        });
        self.submit(command.opt(fields(names)))
    }
    /// `HINCRBY`: adds to a field; the new value.
    fn hincrby(self, key: impl ToArg, field: impl ToArg, increment: i64) -> Self::Out<i64> {
        self.submit(command!("HINCRBY").arg(key).arg(field).arg(increment))
    }
    /// `HINCRBYFLOAT`: adds to a field; the new value.
    fn hincrbyfloat(self, key: impl ToArg, field: impl ToArg, increment: f64) -> Self::Out<f64> {
        self.submit(command!("HINCRBYFLOAT").arg(key).arg(field).arg(increment))
    }
    /// `HKEYS`: the names of all fields.
    fn hkeys<T: FromReply>(self, key: impl ToArg) -> Self::Out<Vec<T>> {
        self.submit(command!("HKEYS").arg(key))
    }
    /// `HLEN`: the number of fields; 0 when the key is absent.
    fn hlen(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("HLEN").arg(key))
    }
    /// `HMGET`: a value for each field, in order; `None` where absent.
    fn hmget<T: FromReply>(
        self,
        key: impl ToArg,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<Option<T>>> {
        self.submit(command!("HMGET").arg(key).args(names))
    }
    /// `HMSET`: sets fields; [`hset`](Self::hset) also counts the new ones.
    fn hmset(
        self,
        key: impl ToArg,
        items: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
    ) -> Self::Out<()> {
        self.submit(command!("HMSET").arg(key).opt(pairs(items)))
    }
    /// `HRANDFIELD`: one random field; `None` when the key is absent.
    fn hrandfield<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(command!("HRANDFIELD").arg(key))
    }
    /// `HRANDFIELD key count`: random fields; a negative count allows repeats.
    fn hrandfield_count<T: FromReply>(self, key: impl ToArg, count: i64) -> Self::Out<Vec<T>> {
        self.submit(command!("HRANDFIELD").arg(key).arg(count))
    }
    /// `HRANDFIELD key count WITHVALUES`.
    fn hrandfield_withvalues<F: FromReply, V: FromReply>(
        self,
        key: impl ToArg,
        count: i64,
    ) -> Self::Out<Pairs<F, V>> {
        self.submit(command!("HRANDFIELD").arg(key).arg(count).arg("WITHVALUES"))
    }
    /// `HSCAN`: one page of fields with values.
    fn hscan<F: FromReply, V: FromReply>(
        self,
        key: impl ToArg,
        cursor: impl ToArg,
        options: &ScanOptions,
    ) -> Self::Out<Page<Pairs<F, V>>> {
        self.submit(
            command!("HSCAN")
                .arg(key)
                .arg(cursor)
                .opt(|a| options.write(a)),
        )
    }
    /// `HSCAN … NOVALUES`: one page of field names.
    fn hscan_novalues<F: FromReply>(
        self,
        key: impl ToArg,
        cursor: impl ToArg,
        options: &ScanOptions,
    ) -> Self::Out<Page<Vec<F>>> {
        self.submit(
            command!("HSCAN")
                .arg(key)
                .arg(cursor)
                .opt(|a| options.write(a))
                .arg("NOVALUES"),
        )
    }
    /// `HSET`: sets fields; how many are new.
    fn hset(
        self,
        key: impl ToArg,
        items: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
    ) -> Self::Out<i64> {
        self.submit(command!("HSET").arg(key).opt(pairs(items)))
    }
    /// `HSETEX`: sets fields with expiry and condition; whether they were set.
    fn hsetex(
        self,
        key: impl ToArg,
        options: HSetExOptions,
        items: impl IntoIterator<Item = (impl ToArg, impl ToArg)>,
    ) -> Self::Out<bool> {
        let items: Vec<_> = items.into_iter().collect();
        let command = command!("HSETEX").arg(key).opt(|a| options.write(a));
        self.submit(command.arg("FIELDS").arg(items.len()).opt(pairs(items)))
    }
    /// `HSETNX`: sets a field if it is absent; whether it was.
    fn hsetnx(self, key: impl ToArg, field: impl ToArg, value: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("HSETNX").arg(key).arg(field).arg(value))
    }
    /// `HSTRLEN`: the length of a field's value in bytes.
    fn hstrlen(self, key: impl ToArg, field: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("HSTRLEN").arg(key).arg(field))
    }
    /// `HVALS`: the values of all fields.
    fn hvals<T: FromReply>(self, key: impl ToArg) -> Self::Out<Vec<T>> {
        self.submit(command!("HVALS").arg(key))
    }
    /// `HEXPIRE`: fields expire after seconds.
    fn hexpire(
        self,
        key: impl ToArg,
        seconds: u64,
        condition: Option<ExpireCondition>,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(expire(command!("HEXPIRE"), key, seconds, condition, names))
    }
    /// `HPEXPIRE`: fields expire after milliseconds.
    fn hpexpire(
        self,
        key: impl ToArg,
        millis: u64,
        condition: Option<ExpireCondition>,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(expire(command!("HPEXPIRE"), key, millis, condition, names))
    }
    /// `HEXPIREAT`: fields expire at a unix time in seconds.
    fn hexpireat(
        self,
        key: impl ToArg,
        unix_seconds: u64,
        condition: Option<ExpireCondition>,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(expire(
            command!("HEXPIREAT"),
            key,
            unix_seconds,
            condition,
            names,
        ))
    }
    /// `HPEXPIREAT`: fields expire at a unix time in milliseconds.
    fn hpexpireat(
        self,
        key: impl ToArg,
        unix_millis: u64,
        condition: Option<ExpireCondition>,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(expire(
            command!("HPEXPIREAT"),
            key,
            unix_millis,
            condition,
            names,
        ))
    }
    /// `HEXPIRETIME`: unix seconds; -1 no expiry, -2 no field.
    fn hexpiretime(
        self,
        key: impl ToArg,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(command!("HEXPIRETIME").arg(key).opt(fields(names)))
    }
    /// `HPEXPIRETIME`: unix milliseconds; -1 no expiry, -2 no field.
    fn hpexpiretime(
        self,
        key: impl ToArg,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(command!("HPEXPIRETIME").arg(key).opt(fields(names)))
    }
    /// `HTTL`: seconds left; -1 no expiry, -2 no field.
    fn httl(self, key: impl ToArg, names: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<i64>> {
        self.submit(command!("HTTL").arg(key).opt(fields(names)))
    }
    /// `HPTTL`: milliseconds left; -1 no expiry, -2 no field.
    fn hpttl(self, key: impl ToArg, names: impl IntoIterator<Item: ToArg>) -> Self::Out<Vec<i64>> {
        self.submit(command!("HPTTL").arg(key).opt(fields(names)))
    }
    /// `HPERSIST`: removes the fields' expiry; 1 removed, -1 none, -2 no field.
    fn hpersist(
        self,
        key: impl ToArg,
        names: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<Vec<i64>> {
        self.submit(command!("HPERSIST").arg(key).opt(fields(names)))
    }
}

impl<S: Surface> HashCommands for S {}

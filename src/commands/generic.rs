//! Key commands. Source: <https://upstash.com/docs/redis/commands/generic>.

use super::{
    options::{ExpireCondition, ScanOptions, flag, word_and},
    replies::Page,
};
use crate::{Args, Command, FromReply, Pairs, Surface, ToArg};

fn expire<T>(
    command: Command<T>,
    key: impl ToArg,
    time: i64,
    condition: Option<ExpireCondition>,
) -> Command<T> {
    let command = command.arg(key).arg(time);
    match condition {
        Some(condition) => command.arg(condition),
        None => command,
    }
}

/// Options of [`GenericCommands::copy_with`].
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct CopyOptions {
    database: Option<u64>,
    replace: bool,
}

impl CopyOptions {
    /// Within the database; nothing when the destination exists.
    pub fn new() -> Self {
        Self::default()
    }
    /// Into another database: `DB`. Upstash has database 0 only.
    pub fn db(mut self, database: u64) -> Self {
        self.database = Some(database);
        self
    }
    /// Over the destination: `REPLACE`.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }
    fn write(self, a: &mut Args) {
        if let Some(database) = self.database {
            word_and("DB", database, a);
        }
        flag(self.replace, "REPLACE", a);
    }
}

/// Options of [`GenericCommands::restore`].
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct RestoreOptions {
    ttl_ms: u64,
    absolute: bool,
    replace: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl RestoreOptions {
    /// No expiry; an error when the key exists.
    pub fn new() -> Self {
        Self::default()
    }
    /// Expires after milliseconds.
    pub fn ttl_ms(mut self, ms: u64) -> Self {
        self.ttl_ms = ms;
        self.absolute = false;
        self
    }
    /// Expires at a unix time in milliseconds: `ABSTTL`.
    pub fn expires_at_ms(mut self, ms: u64) -> Self {
        self.ttl_ms = ms;
        self.absolute = true;
        self
    }
    /// Replaces the key: `REPLACE`.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }
    /// Counts as unused for seconds, for eviction by LRU: `IDLETIME`.
    pub fn idle_seconds(mut self, seconds: u64) -> Self {
        self.idle_seconds = Some(seconds);
        self
    }
    /// Counts as used this often (logarithmic), for eviction by LFU: `FREQ`.
    pub fn frequency(mut self, frequency: u8) -> Self {
        self.frequency = Some(frequency);
        self
    }
    fn write(self, a: &mut Args) {
        flag(self.replace, "REPLACE", a);
        flag(self.absolute, "ABSTTL", a);
        if let Some(seconds) = self.idle_seconds {
            word_and("IDLETIME", seconds, a);
        }
        if let Some(frequency) = self.frequency {
            word_and("FREQ", frequency, a);
        }
    }
}

/// Key commands.
pub trait GenericCommands: Surface {
    /// `COPY`: copies if the destination is absent; whether it did.
    fn copy(self, source: impl ToArg, destination: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("COPY").arg(source).arg(destination))
    }
    /// `COPY` with options; whether it copied.
    fn copy_with(
        self,
        source: impl ToArg,
        destination: impl ToArg,
        options: CopyOptions,
    ) -> Self::Out<bool> {
        let command = command!("COPY").arg(source).arg(destination);
        self.submit(command.opt(|a| options.write(a)))
    }
    /// `DEL`: deletes keys; how many existed.
    fn del(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("DEL").args(keys))
    }
    /// `DUMP`: the value in the server's own format.
    fn dump(self, key: impl ToArg) -> Self::Out<Option<Vec<u8>>> {
        self.submit(command!("DUMP").arg(key))
    }
    /// `EXISTS`: how many of the keys exist.
    fn exists(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("EXISTS").args(keys))
    }
    /// `EXPIRE`: expires after seconds; whether it was set.
    fn expire(self, key: impl ToArg, seconds: i64) -> Self::Out<bool> {
        self.submit(expire(command!("EXPIRE"), key, seconds, None))
    }
    /// `EXPIRE` with a condition.
    fn expire_if(
        self,
        key: impl ToArg,
        seconds: i64,
        condition: ExpireCondition,
    ) -> Self::Out<bool> {
        self.submit(expire(command!("EXPIRE"), key, seconds, Some(condition)))
    }
    /// `EXPIREAT`: expires at a unix time in seconds.
    fn expireat(
        self,
        key: impl ToArg,
        unix_seconds: i64,
        condition: Option<ExpireCondition>,
    ) -> Self::Out<bool> {
        self.submit(expire(command!("EXPIREAT"), key, unix_seconds, condition))
    }
    /// `EXPIRETIME`: unix seconds; -1 no expiry, -2 no key.
    fn expiretime(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("EXPIRETIME").arg(key))
    }
    /// `KEYS`: every key that matches a glob pattern; prefer [`scan`](Self::scan).
    fn keys<T: FromReply>(self, pattern: impl ToArg) -> Self::Out<Vec<T>> {
        self.submit(command!("KEYS").arg(pattern))
    }
    /// `MEMORY USAGE`: bytes the key takes.
    fn memory_usage(self, key: impl ToArg) -> Self::Out<Option<i64>> {
        self.submit(command!("MEMORY").arg("USAGE").arg(key))
    }
    /// `MEMORY USAGE … SAMPLES`: estimated from this many elements; 0 counts all.
    fn memory_usage_samples(self, key: impl ToArg, samples: u64) -> Self::Out<Option<i64>> {
        let command = command!("MEMORY").arg("USAGE").arg(key);
        self.submit(command.arg("SAMPLES").arg(samples))
    }
    /// `PERSIST`: removes the expiry; whether there was one.
    fn persist(self, key: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("PERSIST").arg(key))
    }
    /// `PEXPIRE`: expires after milliseconds; whether it was set.
    fn pexpire(self, key: impl ToArg, millis: i64) -> Self::Out<bool> {
        self.submit(expire(command!("PEXPIRE"), key, millis, None))
    }
    /// `PEXPIRE` with a condition.
    fn pexpire_if(
        self,
        key: impl ToArg,
        millis: i64,
        condition: ExpireCondition,
    ) -> Self::Out<bool> {
        self.submit(expire(command!("PEXPIRE"), key, millis, Some(condition)))
    }
    /// `PEXPIREAT`: expires at a unix time in milliseconds.
    fn pexpireat(
        self,
        key: impl ToArg,
        unix_millis: i64,
        condition: Option<ExpireCondition>,
    ) -> Self::Out<bool> {
        self.submit(expire(command!("PEXPIREAT"), key, unix_millis, condition))
    }
    /// `PEXPIRETIME`: unix milliseconds; -1 no expiry, -2 no key.
    fn pexpiretime(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("PEXPIRETIME").arg(key))
    }
    /// `PTTL`: milliseconds left; -1 no expiry, -2 no key.
    fn pttl(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("PTTL").arg(key))
    }
    /// `RANDOMKEY`: any key.
    fn randomkey<T: FromReply>(self) -> Self::Out<Option<T>> {
        self.submit(command!("RANDOMKEY"))
    }
    /// `RENAME`: renames, over an existing key.
    fn rename(self, key: impl ToArg, new_key: impl ToArg) -> Self::Out<()> {
        self.submit(command!("RENAME").arg(key).arg(new_key))
    }
    /// `RENAMENX`: renames if the new key is absent; whether it did.
    fn renamenx(self, key: impl ToArg, new_key: impl ToArg) -> Self::Out<bool> {
        self.submit(command!("RENAMENX").arg(key).arg(new_key))
    }
    /// `RESTORE`: makes a key from what [`dump`](Self::dump) gave.
    fn restore(self, key: impl ToArg, dump: impl ToArg, options: RestoreOptions) -> Self::Out<()> {
        self.submit(
            command!("RESTORE")
                .arg(key)
                .arg(options.ttl_ms)
                .arg(dump)
                .opt(|a| options.write(a)),
        )
    }
    /// `SCAN`: one page of keys.
    fn scan<T: FromReply>(
        self,
        cursor: impl ToArg,
        options: &ScanOptions,
    ) -> Self::Out<Page<Vec<T>>> {
        self.submit(command!("SCAN").arg(cursor).opt(|a| options.write(a)))
    }
    /// `SCAN … WITHTYPE`: one page of keys with their types; Upstash only.
    fn scan_withtype<T: FromReply>(
        self,
        cursor: impl ToArg,
        options: &ScanOptions,
    ) -> Self::Out<Page<Pairs<T, String>>> {
        self.submit(
            command!("SCAN")
                .arg(cursor)
                .opt(|a| options.write(a))
                .arg("WITHTYPE"),
        )
    }
    /// `TOUCH`: how many of the keys exist.
    fn touch(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("TOUCH").args(keys))
    }
    /// `TTL`: seconds left; -1 no expiry, -2 no key.
    fn ttl(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("TTL").arg(key))
    }
    /// `TYPE`: the type's name; `none` when absent.
    fn key_type(self, key: impl ToArg) -> Self::Out<String> {
        self.submit(command!("TYPE").arg(key))
    }
    /// `UNLINK`: deletes keys; memory is freed later.
    fn unlink(self, keys: impl IntoIterator<Item: ToArg>) -> Self::Out<i64> {
        self.submit(command!("UNLINK").args(keys))
    }
    /// `WAIT`: how many replicas have the writes so far.
    fn wait(self, replicas: u64, timeout_ms: u64) -> Self::Out<i64> {
        self.submit(command!("WAIT").arg(replicas).arg(timeout_ms))
    }
    /// `WAITAOF`: how many servers and replicas have the writes on disk.
    fn waitaof(self, local: u64, replicas: u64, timeout_ms: u64) -> Self::Out<(i64, i64)> {
        self.submit(command!("WAITAOF").arg(local).arg(replicas).arg(timeout_ms))
    }
}

impl<S: Surface> GenericCommands for S {}

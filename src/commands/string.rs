//! Strings and counters.
use std::time::Duration;

use crate::{
    client::Surface,
    command::{Args, Command, ToArg},
    reply::FromReply,
};

/// Options of [`StringCommands::set_with`].
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct SetOptions {
    expiry: Option<(&'static str, u64)>,
    keep_ttl: bool,
    condition: Option<&'static str>,
}

impl SetOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expires after this time, to the millisecond.
    pub fn ex(mut self, ttl: Duration) -> Self {
        let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.expiry = Some(if ms % 1000 == 0 {
            ("EX", ms / 1000)
        } else {
            ("PX", ms)
        });
        self
    }

    /// Keeps the time to live of the old value.
    pub fn keep_ttl(mut self) -> Self {
        self.keep_ttl = true;
        self
    }

    /// Only if the key does not exist.
    pub fn nx(mut self) -> Self {
        self.condition = Some("NX");
        self
    }

    /// Only if the key exists.
    pub fn xx(mut self) -> Self {
        self.condition = Some("XX");
        self
    }

    fn write(self, out: &mut Args) {
        if let Some(condition) = self.condition {
            out.add(condition);
        }
        if let Some((unit, n)) = self.expiry {
            out.add(unit).add(n);
        }
        if self.keep_ttl {
            out.add("KEEPTTL");
        }
    }
}

/// String commands.
pub trait StringCommands: Surface {
    /// `GET key`.
    fn get<T: FromReply>(self, key: impl ToArg) -> Self::Out<Option<T>> {
        self.submit(Command::new("GET").arg(key))
    }

    /// `SET key value`.
    fn set(self, key: impl ToArg, value: impl ToArg) -> Self::Out<()> {
        self.submit(Command::new("SET").arg(key).arg(value))
    }

    /// `SET key value` with options; `None` when a condition stopped it.
    fn set_with(
        self,
        key: impl ToArg,
        value: impl ToArg,
        options: SetOptions,
    ) -> Self::Out<Option<()>> {
        self.submit(
            Command::new("SET")
                .arg(key)
                .arg(value)
                .opt(|a| options.write(a)),
        )
    }

    /// `INCR key`.
    fn incr(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(Command::new("INCR").arg(key))
    }

    /// `INCRBY key increment`.
    fn incrby(self, key: impl ToArg, increment: i64) -> Self::Out<i64> {
        self.submit(Command::new("INCRBY").arg(key).arg(increment))
    }
}
impl<S: Surface> StringCommands for S {}

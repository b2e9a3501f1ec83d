//! What the running call changed, as bytes that make the same change again.
//!
//! A small value that was written is recorded as it is now, a large one by the command that wrote
//! it, with its time. A command that failed, or whose outcome hangs on chance, is never recorded:
//! its large values are.

use bytes::Bytes;

use super::Db;
use super::entry::{Entry, expire_of};
use crate::command::Args;
use crate::encoding::{put_bytes, put_number, write_value};
use crate::options::Dialect;
use crate::value::Value;

/// The largest weight of a value that is recorded whenever it is written.
const SMALL: usize = 512;
/// A buffer that is larger is given back.
const KEEP: usize = 1 << 20;

/// A key, its expiry and value.
pub(crate) const VALUE: u8 = 1;
/// A key that was removed.
pub(crate) const REMOVE: u8 = 2;
/// A key and its expiry.
pub(crate) const EXPIRE: u8 = 3;
/// Everything was removed.
pub(crate) const CLEAR: u8 = 4;
/// A dialect and the arguments of a command.
pub(crate) const COMMAND: u8 = 5;
/// A key whose fields or message ids that are due were removed.
pub(crate) const EXPIRE_FIELDS: u8 = 6;
/// The name of a user and its rules.
pub(crate) const USER: u8 = 7;
/// The name of a user that was removed.
pub(crate) const NO_USER: u8 = 8;
/// A snapshot that replaced everything.
pub(crate) const RESET: u8 = 9;
/// A key that search indexes forget: another value takes its place.
pub(crate) const FORGET: u8 = 10;

/// Effects of the running call; a record is the time and all of them.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    on: bool,
    /// Values of at most this weight are recorded, larger ones are written by their command again.
    small: usize,
    out: Vec<u8>,
    /// Positions of large values that the running command wrote.
    large: Vec<u32>,
    /// What the running command said about itself.
    said: Said,
}

#[derive(Debug, Default)]
struct Said {
    by_state: bool,
    command: bool,
    instead: Option<Vec<Bytes>>,
}

/// Where the effects of a command begin.
#[derive(Debug)]
pub(crate) struct Mark {
    out: usize,
    large: usize,
    said: Said,
}

impl Effects {
    /// Records from now on.
    pub(crate) fn start(&mut self) {
        self.on = true;
        self.small = SMALL;
    }

    /// Records no value, as if all were large.
    #[cfg(test)]
    pub(crate) fn start_with_commands(&mut self) {
        self.on = true;
    }

    /// Whether effects are recorded.
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// The running command changed what is no key: it is recorded itself.
    pub(crate) fn record_command(&mut self) {
        self.said.command = true;
    }

    /// The outcome of the running command hangs on chance or on the order of entries: the values
    /// that it wrote are recorded, also large ones.
    pub(crate) fn record_values(&mut self) {
        self.said.by_state = true;
    }

    /// The running command is recorded as another one, which has the same effect whenever it runs.
    pub(crate) fn record_instead(&mut self, args: impl FnOnce() -> Vec<Bytes>) {
        if self.on {
            self.said.instead = Some(args());
        }
    }

    fn effect(&mut self, now: u64, kind: u8) -> &mut Vec<u8> {
        if self.out.is_empty() {
            put_number(&mut self.out, now);
        }
        self.out.push(kind);
        &mut self.out
    }

    pub(super) fn of_key(&mut self, now: u64, kind: u8, key: &[u8]) {
        if self.on {
            put_bytes(self.effect(now, kind), key);
        }
    }

    pub(super) fn expiry(&mut self, now: u64, key: &[u8], at_ms: u64) {
        if self.on {
            let out = self.effect(now, EXPIRE);
            put_bytes(out, key);
            put_number(out, at_ms);
        }
    }

    /// Everything was removed.
    pub(super) fn cleared(&mut self, now: u64) {
        self.effect(now, CLEAR);
    }

    /// A value was written.
    pub(super) fn written(&mut self, now: u64, at: u32, key: &[u8], expire: u64, entry: &Entry) {
        if entry.value.weight() > self.small {
            self.large.push(at);
        } else {
            self.value(now, key, expire, entry);
        }
    }

    fn value(&mut self, now: u64, key: &[u8], expire: u64, entry: &Entry) {
        let out = self.effect(now, VALUE);
        put_bytes(out, key);
        put_number(out, expire);
        write_value(out, &entry.value);
    }

    fn command(&mut self, now: u64, dialect: Dialect, args: Args<'_>) {
        let out = self.effect(now, COMMAND);
        out.push(u8::from(dialect == Dialect::Redis));
        put_number(out, args.len() as u64);
        for arg in args {
            put_bytes(out, arg);
        }
    }

    /// A command begins, possibly within another one.
    pub(crate) fn begin(&mut self) -> Mark {
        Mark {
            out: self.out.len(),
            large: self.large.len(),
            said: std::mem::take(&mut self.said),
        }
    }
}

impl Db {
    /// The running command has ended and settled; `None`: it failed.
    pub(crate) fn end_effects(&mut self, mark: Mark, command: Option<(Dialect, Args<'_>)>) {
        let said = std::mem::replace(&mut self.effects.said, mark.said);
        if !self.effects.on {
            return;
        }
        let large = self.effects.large.len() > mark.large;
        if !large && !said.command {
            return;
        }
        match command {
            Some((dialect, args)) if !said.by_state => {
                self.effects.out.truncate(mark.out);
                self.effects.large.truncate(mark.large);
                let now = self.now;
                match said.instead {
                    Some(args) => {
                        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
                        self.effects.command(now, Dialect::Redis, &args);
                    }
                    None => self.effects.command(now, dialect, args),
                }
            }
            _ => self.record_large(mark.large, self.reading),
        }
    }

    /// Records large values that no command stands for.
    fn record_large(&mut self, from: usize, only_read: bool) {
        let mut large = self.effects.large.split_off(from);
        large.sort_unstable();
        large.dedup();
        for at in large {
            let Some((key, entry)) = self.keys.entry(at) else {
                continue;
            };
            match &entry.value {
                // A read removes no more than what is due.
                Value::Hash(_) | Value::Stream(_) if only_read => {
                    self.effects.of_key(self.now, EXPIRE_FIELDS, key);
                }
                _ => {
                    let expire = expire_of(&self.volatile, entry);
                    self.effects.value(self.now, key, expire, entry);
                }
            }
        }
    }

    /// A user was changed; `None`: removed.
    pub(crate) fn record_user(&mut self, name: &str, rules: Option<&[Vec<u8>]>) {
        if !self.effects.on {
            return;
        }
        let kind = if rules.is_some() { USER } else { NO_USER };
        let out = self.effects.effect(self.now, kind);
        put_bytes(out, name.as_bytes());
        if let Some(rules) = rules {
            put_number(out, rules.len() as u64);
            for rule in rules {
                put_bytes(out, rule);
            }
        }
    }

    /// Everything was replaced by a snapshot, which is given without its header.
    pub(crate) fn record_reset(&mut self, body: &[u8]) {
        if self.effects.on {
            put_bytes(self.effects.effect(self.now, RESET), body);
        }
    }

    /// The record of everything since the last one, if there is anything.
    pub(crate) fn take_effects(&mut self, take: impl FnOnce(&[u8])) {
        if !self.effects.large.is_empty() {
            self.record_large(0, false);
        }
        if self.effects.out.is_empty() {
            return;
        }
        take(&self.effects.out);
        self.effects.out.clear();
        if self.effects.out.capacity() > KEEP {
            self.effects.out = Vec::new();
        }
    }

    /// Makes a key what a record says.
    pub(crate) fn restore(&mut self, key: &[u8], value: Value, expiry: u64) {
        let at = match self.keys.find(key) {
            Some(at) => {
                self.captured(at);
                if let Some(entry) = self.keys.value_mut(at) {
                    entry.value = value;
                }
                self.touched.push(at);
                at
            }
            None => self.add(key, value),
        };
        self.set_expiry_at(at, expiry);
    }

    /// Removes the fields and message ids of a key that are due.
    pub(crate) fn expire_fields_of(&mut self, key: &[u8]) {
        if let Some(at) = self.position(key) {
            self.touch_at(at);
        }
    }
}

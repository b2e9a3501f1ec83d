//! A snapshot as numbers by name, for the store, and back.
//!
//! `n:NAME` is a counter, `b:SIZE` a bucket of batch sizes, `e:KIND` errors, and of a command
//! `c:NAME:t` its microseconds, `c:NAME:b:BUCKET` its calls, `c:NAME:e:KIND` its errors;
//! `t:NAME:t` and `t:NAME:b:BUCKET` are times of building blocks.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::{
    counters::BUCKETS,
    registry::COUNTERS,
    snapshot::{CommandStats, Snapshot},
};
use crate::protocol::{command_table::TABLE, error::ErrorKind};

/// Numbers by name; what is zero is absent.
pub(super) type Totals = BTreeMap<String, u64>;

const SIZES: usize = 11;

impl Snapshot {
    /// All that only grows.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        let mut add = |name: String, n: u64| {
            if n > 0 {
                totals.insert(name, n);
            }
        };
        for (name, n) in self.plain() {
            add(format!("n:{name}"), n);
        }
        for (name, n) in &self.counters {
            add(format!("n:{name}"), *n);
        }
        for (i, n) in self.batch_sizes.iter().enumerate() {
            add(format!("b:{i}"), *n);
        }
        for (kind, n) in &self.errors {
            add(format!("e:{}", kind.as_str()), *n);
        }
        for (name, stats) in &self.commands {
            let micros = u64::try_from(stats.total.as_micros()).unwrap_or(u64::MAX);
            add(format!("c:{name}:t"), micros);
            for (i, n) in stats.buckets.iter().enumerate() {
                add(format!("c:{name}:b:{i}"), *n);
            }
            for (kind, n) in &stats.errors_by_kind {
                add(format!("c:{name}:e:{}", kind.as_str()), *n);
            }
        }
        for (name, timing) in &self.timings {
            let micros = u64::try_from(timing.total.as_micros()).unwrap_or(u64::MAX);
            add(format!("t:{name}:t"), micros);
            for (i, n) in timing.buckets.iter().enumerate() {
                add(format!("t:{name}:b:{i}"), *n);
            }
        }
        totals
    }

    fn plain(&self) -> [(&'static str, u64); 8] {
        [
            ("requests", self.requests),
            ("retries", self.retries),
            ("batched_commands", self.batched_commands),
            ("request_bytes", self.request_bytes),
            ("reply_bytes", self.reply_bytes),
            ("breaker_opened", self.breaker_opened),
            ("connections_failed", self.connections_failed),
            ("reconnections", self.reconnections),
        ]
    }

    /// Adds numbers of another instance; names that are not known are passed over.
    pub(super) fn add_totals<'t>(&mut self, totals: impl IntoIterator<Item = (&'t str, u64)>) {
        self.batch_sizes.resize(SIZES, 0);
        for (name, n) in totals {
            let Some((kind, rest)) = name.split_once(':') else {
                continue;
            };
            match kind {
                "n" => self.add_counter(rest, n),
                "b" => add_at(&mut self.batch_sizes, rest, n),
                "e" => add_error(&mut self.errors, rest, n),
                "c" => self.add_command(rest, n),
                "t" => self.add_timing(rest, n),
                _ => {}
            }
        }
    }

    fn add_counter(&mut self, name: &str, n: u64) {
        let of = match name {
            "requests" => &mut self.requests,
            "retries" => &mut self.retries,
            "batched_commands" => &mut self.batched_commands,
            "request_bytes" => &mut self.request_bytes,
            "reply_bytes" => &mut self.reply_bytes,
            "breaker_opened" => &mut self.breaker_opened,
            "connections_failed" => &mut self.connections_failed,
            "reconnections" => &mut self.reconnections,
            name => {
                let Some(name) = counter_name(name) else {
                    return;
                };
                self.counters.entry(name).or_default()
            }
        };
        *of = of.saturating_add(n);
    }

    fn add_command(&mut self, rest: &str, n: u64) {
        let mut parts = rest.split(':');
        let name = parts.next().unwrap_or_default();
        let names = TABLE.iter().map(|properties| properties.name);
        let Some(name) = names.chain(["other"]).find(|known| *known == name) else {
            return;
        };
        let stats = self.commands.entry(name).or_insert_with(|| CommandStats {
            buckets: vec![0; BUCKETS],
            ..CommandStats::default()
        });
        match (parts.next(), parts.next()) {
            (Some("t"), None) => stats.total = stats.total.saturating_add(Duration::from_micros(n)),
            (Some("b"), Some(bucket)) => {
                add_at(&mut stats.buckets, bucket, n);
                stats.count = stats.buckets.iter().sum();
            }
            (Some("e"), Some(kind)) => {
                add_error(&mut stats.errors_by_kind, kind, n);
                stats.errors = stats.errors_by_kind.iter().map(|(_, n)| n).sum();
            }
            _ => {}
        }
    }
}

impl Snapshot {
    fn add_timing(&mut self, rest: &str, n: u64) {
        let mut parts = rest.split(':');
        let Some(name) = parts.next().and_then(counter_name) else {
            return;
        };
        let timing = self.timings.entry(name).or_default();
        timing.buckets.resize(BUCKETS, 0);
        match (parts.next(), parts.next()) {
            (Some("t"), None) => {
                timing.total = timing.total.saturating_add(Duration::from_micros(n));
            }
            (Some("b"), Some(bucket)) => {
                add_at(&mut timing.buckets, bucket, n);
                timing.count = timing.buckets.iter().sum();
            }
            _ => {}
        }
    }
}

/// A name that may be part of a metric's.
fn counter_name(name: &str) -> Option<Cow<'static, str>> {
    if let Some((known, _)) = COUNTERS.iter().find(|(known, _)| *known == name) {
        return Some(Cow::Borrowed(known));
    }
    let clean = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let sound = (1..=64).contains(&name.len()) && name.bytes().all(clean);
    sound.then(|| Cow::Owned(name.to_owned()))
}

fn add_at(counts: &mut [u64], at: &str, n: u64) {
    if let Some(count) = at.parse().ok().and_then(|at: usize| counts.get_mut(at)) {
        *count = count.saturating_add(n);
    }
}

fn add_error(errors: &mut Vec<(ErrorKind, u64)>, kind: &str, n: u64) {
    let Some(kind) = ErrorKind::ALL.into_iter().find(|k| k.as_str() == kind) else {
        return;
    };
    match errors.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, count)) => *count = count.saturating_add(n),
        None => errors.push((kind, n)),
    }
}

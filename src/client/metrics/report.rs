//! A snapshot, and what the store tells, as metrics.

use std::time::Duration;

use super::{
    counters::{BOUNDS_US, BUCKETS},
    families::{Families, Value},
    registry::{COUNTERS, NAMED},
    snapshot::{CommandStats, Snapshot},
};
use crate::client::batch::breaker::BreakerState;

/// Where counters of building blocks are found.
fn counter(snapshot: &Snapshot, name: &str) -> u64 {
    snapshot.counters.get(name).copied().unwrap_or_default()
}

/// Upper bounds in seconds and what is in each bucket.
pub(crate) fn seconds(counts: &[u64]) -> Vec<(f64, u64)> {
    let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
    let bounds = bounds.chain([f64::INFINITY]);
    bounds.zip(counts.iter().copied()).collect()
}

fn latency(counts: &[u64], total: Duration) -> Value {
    Value::Histogram {
        buckets: seconds(counts),
        sum: total.as_secs_f64(),
    }
}

impl Snapshot {
    /// The numbers under the names of the registry.
    pub fn families(&self) -> Families {
        let mut all = Families::default();
        all.number("redis.connection.active", self.in_flight as f64);
        all.number("redis.connection.failed", self.connections_failed as f64);
        all.number("redis.reconnections", self.reconnections as f64);
        let mut every = CommandStats::default();
        for stats in self.commands.values() {
            every.merge(stats);
        }
        if every.buckets.is_empty() {
            every.buckets = vec![0; BUCKETS];
        }
        all.add(
            "redis.command.duration",
            Vec::new(),
            latency(&every.buckets, every.total),
        );
        all.number("redis.ops_per_second", self.ops_per_second);
        for (counted, name) in NAMED {
            all.number(name, counter(self, counted) as f64);
        }
        self.commands_to(&mut all);
        self.requests_to(&mut all);
        self.blocks_to(&mut all);
        all
    }

    fn commands_to(&self, all: &mut Families) {
        for (name, stats) in &self.commands {
            let labels = vec![("command", name.to_ascii_lowercase())];
            all.add(
                "restis_command",
                labels,
                latency(&stats.buckets, stats.total),
            );
        }
        for (name, stats) in &self.commands {
            for (kind, n) in &stats.errors_by_kind {
                let labels = vec![
                    ("command", name.to_ascii_lowercase()),
                    ("kind", kind.as_str().to_owned()),
                ];
                let value = Value::Number(*n as f64);
                all.add("restis_command_failures", labels, value);
            }
        }
        for (kind, n) in &self.errors {
            let labels = vec![("kind", kind.as_str().to_owned())];
            all.add("restis_errors", labels, Value::Number(*n as f64));
        }
    }

    fn requests_to(&self, all: &mut Families) {
        let last = self.batch_sizes.len().saturating_sub(1);
        let bound = |i: usize| match i {
            i if i == last => f64::INFINITY,
            i => f64::from(1_u32 << i),
        };
        let sizes = self.batch_sizes.iter().enumerate();
        let value = Value::Histogram {
            buckets: sizes.map(|(i, n)| (bound(i), *n)).collect(),
            sum: self.batched_commands as f64,
        };
        all.add("restis_batch_commands", Vec::new(), value);
        all.number("restis_retries", self.retries as f64);
        all.number("restis_request_bytes", self.request_bytes as f64);
        all.number("restis_reply_bytes", self.reply_bytes as f64);
        all.number("restis_breaker_opened", self.breaker_opened as f64);
        for state in [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::Probing,
        ] {
            let on = f64::from(u8::from(state == self.breaker));
            let labels = vec![("state", state.as_str().to_owned())];
            all.add("restis_breaker_state", labels, Value::Number(on));
        }
    }

    fn blocks_to(&self, all: &mut Families) {
        let found = counter(self, "cache_hits")
            + counter(self, "cache_local_hits")
            + counter(self, "cache_stale_hits");
        let reads = found + counter(self, "cache_misses");
        if reads > 0 {
            all.number("restis_cache_hit_rate", found as f64 / reads as f64);
        }
        let blocks = [
            ("cache", cfg!(feature = "cache")),
            ("events", cfg!(feature = "events")),
            ("ratelimit", cfg!(feature = "ratelimit")),
            ("sessions", cfg!(feature = "session")),
        ];
        let compiled = |name: &str| {
            let block = name.split('_').next();
            let known = blocks.iter().find(|(known, _)| Some(*known) == block);
            known.is_none_or(|(_, compiled)| *compiled)
        };
        let named = |name: &str| NAMED.iter().any(|(counted, _)| *counted == name);
        for (name, _) in COUNTERS.iter().filter(|(name, _)| compiled(name)) {
            all.counted(name, counter(self, name));
        }
        let known = |name: &str| COUNTERS.iter().any(|(known, _)| *known == name);
        for (name, n) in &self.counters {
            if !named(name) && !known(name) {
                all.counted(name, *n);
            }
        }
        for (name, timing) in &self.timings {
            all.timed(name, latency(&timing.buckets, timing.total));
        }
    }
}

impl Families {
    /// Adds what the store tells of itself: `field` gives the fields of its INFO as numbers.
    ///
    /// What it does not tell is left out.
    #[must_use]
    pub fn with_store(mut self, field: impl Fn(&str) -> Option<f64>) -> Self {
        self.number("redis.up", 1.0);
        let hits = field("keyspace_hits").zip(field("keyspace_misses"));
        if let Some((hits, misses)) = hits
            && hits + misses > 0.0
        {
            self.number("redis.hit_rate", hits / (hits + misses));
        }
        for (name, of) in [
            ("redis.memory.used", "used_memory"),
            ("redis.memory.fragmentation", "mem_fragmentation_ratio"),
            ("redis.keys.expired", "expired_keys"),
        ] {
            if let Some(value) = field(of) {
                self.number(name, value);
            }
        }
        if let Some(max) = field("maxmemory").filter(|max| *max > 0.0) {
            self.number("redis.memory.max", max);
        }
        self
    }

    /// Adds how many sessions are live, as the store counts them.
    #[must_use]
    pub fn with_sessions(mut self, active: u64) -> Self {
        self.number("redis.sessions.active", active as f64);
        self
    }

    /// Adds how many instances counted.
    #[must_use]
    pub fn with_instances(mut self, instances: usize) -> Self {
        self.number("restis_instances", instances as f64);
        self
    }

    /// Notes that the store did not answer.
    #[must_use]
    pub fn without_store(mut self) -> Self {
        self.number("redis.up", 0.0);
        self
    }
}

//! When somebody should look: thresholds as data, and what becomes of them over time.
//!
//! One table, [`ALERTS`]. `GET /api/metrics/alerts` steps through it, and
//! `deploy/monitoring/restis.rules.yml` is [`prometheus_rules`].

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};

use super::families::{Families, Value, quantile};

/// How soon an operator should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Today.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The name in labels and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// A metric as it is.
    Value(&'static str),
    /// How much a counter grew in a minute.
    PerMinute(&'static str),
    /// A metric as a share of another.
    ShareOf(&'static str, &'static str),
    /// What this share of the newest measurements of a histogram does not exceed.
    Quantile(&'static str, f64),
}

/// Which side of the threshold is bad.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Bad {
    /// More than this.
    Above(f64),
    /// Less than this.
    Below(f64),
}

impl Bad {
    /// Whether the value is bad.
    pub fn is(self, value: f64) -> bool {
        match self {
            Self::Above(threshold) => value > threshold,
            Self::Below(threshold) => value < threshold,
        }
    }

    /// The threshold.
    pub const fn threshold(self) -> f64 {
        match self {
            Self::Above(threshold) | Self::Below(threshold) => threshold,
        }
    }
}

/// One alert.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// Its name, also that of the Prometheus rule.
    pub name: &'static str,
    /// How soon an operator should look.
    pub severity: Severity,
    /// What is compared; `None`: only Prometheus evaluates it.
    pub measure: Option<Measure>,
    /// What is bad.
    pub bad: Bad,
    /// How long it has to be bad.
    pub lasts: Duration,
    /// The condition in PromQL.
    pub expr: &'static str,
    /// What is wrong.
    pub summary: &'static str,
    /// What to do first.
    pub remedy: &'static str,
}

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Every alert.
pub const ALERTS: &[Alert] = &[
    Alert {
        name: "RestisStoreDown",
        severity: Severity::Critical,
        measure: Some(Measure::Value("redis.up")),
        bad: Bad::Below(1.0),
        lasts: FIVE_MINUTES,
        expr: "redis_up == 0",
        summary: "the store does not answer",
        remedy: "look at the provider's status and at GET /health; restarting functions does not mend a store",
    },
    Alert {
        name: "RestisConnectionsFail",
        severity: Severity::Critical,
        measure: Some(Measure::PerMinute("redis.connection.failed")),
        bad: Bad::Above(5.0),
        lasts: Duration::ZERO,
        expr: "increase(redis_connection_failed_total[1m]) > 5",
        summary: "more than five connections a minute could not be made",
        remedy: "check the store's URL, name resolution and the network between; then the provider's status",
    },
    Alert {
        name: "RestisConnectionsFailSometimes",
        severity: Severity::Warning,
        measure: Some(Measure::PerMinute("redis.connection.failed")),
        bad: Bad::Above(1.0),
        lasts: Duration::ZERO,
        expr: "increase(redis_connection_failed_total[1m]) > 1",
        summary: "more than one connection a minute could not be made",
        remedy: "look at the kinds of errors in restis_errors_total and at the provider's status",
    },
    Alert {
        name: "RestisMemoryAlmostFull",
        severity: Severity::Critical,
        measure: Some(Measure::ShareOf("redis.memory.used", "redis.memory.max")),
        bad: Bad::Above(0.9),
        lasts: FIVE_MINUTES,
        expr: "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9",
        summary: "the store uses more than 90 % of its memory",
        remedy: "raise the limit, then find what fills it; writes fail or keys go when it is full",
    },
    Alert {
        name: "RestisMemoryHigh",
        severity: Severity::Warning,
        measure: Some(Measure::ShareOf("redis.memory.used", "redis.memory.max")),
        bad: Bad::Above(0.8),
        lasts: FIVE_MINUTES,
        expr: "redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.8",
        summary: "the store uses more than 80 % of its memory",
        remedy: "give every key a lifetime, shorten lifetimes, keep records in hashes, or scale up",
    },
    Alert {
        name: "RestisCommandsVerySlow",
        severity: Severity::Critical,
        measure: Some(Measure::Quantile("redis.command.duration", 0.95)),
        bad: Bad::Above(1.0),
        lasts: FIVE_MINUTES,
        expr: "histogram_quantile(0.95, sum by (job, instance, le) (rate(redis_command_duration_seconds_bucket[5m]))) > 1 or histogram_quantile(0.95, sum by (job, instance, le) (rate(restis_request_seconds_bucket[5m]))) > 1",
        summary: "one command in twenty takes longer than a second",
        remedy: "is the store in another region, short of CPU, or busy with slow commands (SLOWLOG GET)?",
    },
    Alert {
        name: "RestisCommandsSlow",
        severity: Severity::Warning,
        measure: Some(Measure::Quantile("redis.command.duration", 0.95)),
        bad: Bad::Above(0.5),
        lasts: FIVE_MINUTES,
        expr: "histogram_quantile(0.95, sum by (job, instance, le) (rate(redis_command_duration_seconds_bucket[5m]))) > 0.5 or histogram_quantile(0.95, sum by (job, instance, le) (rate(restis_request_seconds_bucket[5m]))) > 0.5",
        summary: "one command in twenty takes longer than half a second",
        remedy: "compare store_latency_ms of GET /api/health; look at SLOWLOG GET and at the store's CPU",
    },
    Alert {
        name: "RestisHitRateLow",
        severity: Severity::Warning,
        measure: Some(Measure::Value("redis.hit_rate")),
        bad: Bad::Below(0.7),
        lasts: FIVE_MINUTES,
        expr: "redis_hit_rate < 0.7 or rate(redis_keyspace_hits_total[5m]) / (rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m]) > 0) < 0.7",
        summary: "fewer than 70 % of reads find their key",
        remedy: "are lifetimes too short, keys wrong, or were keys evicted (redis_evicted_keys_total)?",
    },
    Alert {
        name: "RestisConnectionsRejected",
        severity: Severity::Warning,
        measure: None,
        bad: Bad::Above(0.0),
        lasts: Duration::ZERO,
        expr: "increase(redis_rejected_connections_total[1m]) > 0",
        summary: "the server refused connections, since it has too many",
        remedy: "find the client that opens them; if all are wanted, share them among several servers of 10,000 each",
    },
    Alert {
        name: "RestisManyClients",
        severity: Severity::Warning,
        measure: None,
        bad: Bad::Above(100.0),
        lasts: MINUTE,
        expr: "redis_connected_clients > 100",
        summary: "more than 100 clients are connected to one database",
        remedy: "use one client a process, and REST from functions",
    },
];

/// What the next evaluation has to know of this one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertMemory {
    /// When the counters below were taken, in unix milliseconds.
    window_ms: u64,
    counters: BTreeMap<String, f64>,
    buckets: BTreeMap<String, Vec<u64>>,
    /// Since when something is bad, in unix milliseconds.
    bad_since: BTreeMap<String, u64>,
    /// Since when an alert fires, in unix milliseconds.
    firing_since: BTreeMap<String, u64>,
    /// Alerts whose firing was delivered, and since when they fired.
    delivered: BTreeMap<String, u64>,
}

/// An alert that began or ended to fire, for delivery.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AlertChange {
    /// Which.
    pub alert: &'static Alert,
    /// Whether it fires.
    pub fires: bool,
    /// Since when it fires or fired, in unix milliseconds.
    pub since_ms: u64,
}

impl AlertMemory {
    /// Returns the changes that are not delivered yet.
    pub fn undelivered(&self) -> Vec<AlertChange> {
        let change = |alert: &'static Alert| {
            let firing = self.firing_since.get(alert.name);
            let delivered = self.delivered.get(alert.name);
            let (fires, since_ms) = match (firing, delivered) {
                (Some(since), delivered) if Some(since) != delivered => (true, *since),
                (None, Some(since)) => (false, *since),
                _ => return None,
            };
            Some(AlertChange {
                alert,
                fires,
                since_ms,
            })
        };
        ALERTS.iter().filter_map(change).collect()
    }

    /// Notes that a change was delivered.
    pub fn mark_delivered(&mut self, change: &AlertChange) {
        let name = change.alert.name;
        if change.fires {
            self.delivered.insert(name.to_owned(), change.since_ms);
        } else {
            self.delivered.remove(name);
        }
    }
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AlertStatus {
    /// All is well.
    Ok,
    /// It is bad, and not for long enough.
    Pending,
    /// It fires.
    Firing,
    /// The store or the instance does not tell what is compared.
    Unknown,
}

/// One alert at one time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlertState {
    /// Which.
    pub alert: &'static Alert,
    /// How it stands.
    pub status: AlertStatus,
    /// What was compared.
    pub value: Option<f64>,
    /// Since when it fires, in unix milliseconds.
    pub since_ms: Option<u64>,
}

/// Evaluates every alert that has a measure; `memory` is that of the last evaluation.
///
/// Growth and percentiles are those of the last minute, or since the evaluation before if that is
/// longer ago. The first evaluation knows neither.
pub fn evaluate(families: &Families, memory: &mut AlertMemory, now_ms: u64) -> Vec<AlertState> {
    let first = memory.window_ms == 0;
    let window = Window {
        first,
        minutes: now_ms.saturating_sub(memory.window_ms) as f64 / 60e3,
    };
    let alerts = ALERTS.iter().filter(|alert| alert.measure.is_some());
    let states = alerts.map(|alert| {
        let value = measured(families, alert, memory, window);
        step(alert, value, memory, now_ms)
    });
    let states = states.collect();
    if first || window.minutes >= 1.0 {
        memory.begin_window(families, now_ms);
    }
    states
}

/// The time since counters were taken.
#[derive(Debug, Clone, Copy)]
struct Window {
    first: bool,
    minutes: f64,
}

fn counts(buckets: &[(f64, u64)]) -> Vec<u64> {
    buckets.iter().map(|(_, n)| *n).collect()
}

impl AlertMemory {
    fn begin_window(&mut self, families: &Families, now_ms: u64) {
        self.window_ms = now_ms;
        for alert in ALERTS {
            match alert.measure {
                Some(Measure::PerMinute(name)) => {
                    if let Some(count) = families.value(name) {
                        self.counters.insert(name.to_owned(), count);
                    }
                }
                Some(Measure::Quantile(name, _)) => {
                    if let Some(Value::Histogram { buckets, .. }) = families.single(name) {
                        self.buckets.insert(name.to_owned(), counts(buckets));
                    }
                }
                _ => {}
            }
        }
    }
}

fn measured(
    families: &Families,
    alert: &Alert,
    before: &AlertMemory,
    window: Window,
) -> Option<f64> {
    match alert.measure? {
        Measure::Value(name) => families.value(name),
        Measure::ShareOf(name, whole) => {
            let whole = families.value(whole).filter(|whole| *whole > 0.0)?;
            Some(families.value(name)? / whole)
        }
        Measure::PerMinute(name) => {
            let count = families.value(name)?;
            let grown = count - before.counters.get(name)?;
            // An instance that began anew counts from zero.
            let grown = if grown < 0.0 { count } else { grown };
            Some(grown / window.minutes.max(1.0))
        }
        Measure::Quantile(name, share) => {
            let Some(Value::Histogram { buckets, .. }) = families.single(name) else {
                return None;
            };
            if window.first {
                return None;
            }
            let old = before.buckets.get(name);
            let newest = buckets.iter().enumerate().map(|(i, (bound, n))| {
                let old = old.and_then(|old| old.get(i)).copied().unwrap_or_default();
                (*bound, n.checked_sub(old).unwrap_or(*n))
            });
            // Nothing was measured: nothing is slow.
            quantile(&newest.collect::<Vec<_>>(), share).or(Some(0.0))
        }
    }
}

fn step(
    alert: &'static Alert,
    value: Option<f64>,
    memory: &mut AlertMemory,
    now_ms: u64,
) -> AlertState {
    let name = alert.name;
    let status = match value {
        // What is not told neither fires nor clears.
        None => AlertStatus::Unknown,
        Some(value) if !alert.bad.is(value) => {
            memory.bad_since.remove(name);
            memory.firing_since.remove(name);
            AlertStatus::Ok
        }
        Some(_) => {
            let since = *memory.bad_since.entry(name.to_owned()).or_insert(now_ms);
            let lasted = Duration::from_millis(now_ms.saturating_sub(since));
            let fires = lasted >= alert.lasts;
            if fires {
                let firing = memory.firing_since.entry(name.to_owned());
                firing.or_insert(now_ms);
            }
            if memory.firing_since.contains_key(name) {
                AlertStatus::Firing
            } else {
                AlertStatus::Pending
            }
        }
    };
    AlertState {
        alert,
        status,
        value,
        since_ms: memory.firing_since.get(name).copied(),
    }
}

/// Every alert as a rule file of Prometheus.
pub fn prometheus_rules() -> String {
    let mut out = String::from(
        "# Made from the table ALERTS of the library; a test compares them.\ngroups:\n  - name: restis\n    rules:\n",
    );
    for alert in ALERTS {
        // Writing to a `String` does not fail.
        let _ = write!(
            out,
            "      - alert: {}\n        expr: {}\n        for: {}s\n        labels:\n          severity: {}\n        annotations:\n          summary: {}\n          description: {}\n",
            alert.name,
            alert.expr,
            alert.lasts.as_secs(),
            alert.severity.as_str(),
            quoted(alert.summary),
            quoted(alert.remedy),
        );
    }
    out
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::metrics::Snapshot;

    const MINUTE_MS: u64 = 60_000;

    fn failed(count: u64) -> Families {
        let snapshot = Snapshot {
            connections_failed: count,
            ..Snapshot::default()
        };
        snapshot.families()
    }

    fn status(states: &[AlertState], name: &str) -> AlertStatus {
        let state = states.iter().find(|state| state.alert.name == name);
        state.unwrap().status
    }

    #[test]
    fn growth_fires_within_the_minute_and_clears_after_it() {
        use AlertStatus::{Firing, Ok, Unknown};
        let mut memory = AlertMemory::default();
        let mut at = 1_000_000;
        let mut ask = |count, after| {
            at += after;
            let states = evaluate(&failed(count), &mut memory, at);
            let both = ["RestisConnectionsFail", "RestisConnectionsFailSometimes"];
            both.map(|name| status(&states, name))
        };
        assert_eq!(ask(100, 0), [Unknown; 2]);
        assert_eq!(ask(102, 15_000), [Ok, Firing]);
        assert_eq!(ask(106, 15_000), [Firing, Firing]);
        assert_eq!(ask(106, MINUTE_MS), [Ok, Firing]);
        assert_eq!(ask(106, 15_000), [Ok, Ok]);
        // Ten in five minutes are two a minute.
        assert_eq!(ask(116, 5 * MINUTE_MS), [Ok, Firing]);
        // An instance that began anew.
        assert_eq!(ask(1, MINUTE_MS), [Ok, Ok]);
    }

    #[test]
    fn what_must_last_is_pending_before_and_delivered_once() {
        let down = |up: bool| {
            let families = Snapshot::default().families();
            match up {
                true => families.with_store(|_| None),
                false => families.without_store(),
            }
        };
        let mut memory = AlertMemory::default();
        let mut ask = |up, at| {
            let states = evaluate(&down(up), &mut memory, at);
            let changes = memory.undelivered();
            for change in &changes {
                memory.mark_delivered(change);
            }
            let delivered: Vec<bool> = changes.iter().map(|change| change.fires).collect();
            (status(&states, "RestisStoreDown"), delivered)
        };
        assert_eq!(ask(false, 1_000), (AlertStatus::Pending, vec![]));
        assert_eq!(ask(false, 301_000), (AlertStatus::Firing, vec![true]));
        assert_eq!(ask(false, 302_000), (AlertStatus::Firing, vec![]));
        assert_eq!(ask(true, 303_000), (AlertStatus::Ok, vec![false]));
        assert_eq!(ask(true, 304_000), (AlertStatus::Ok, vec![]));
    }

    #[test]
    fn each_alert_reads_metrics_that_exist() {
        for alert in ALERTS {
            let names = match alert.measure {
                None => vec![],
                Some(Measure::ShareOf(name, whole)) => vec![name, whole],
                Some(
                    Measure::Value(name) | Measure::PerMinute(name) | Measure::Quantile(name, _),
                ) => vec![name],
            };
            for name in names {
                assert!(crate::metrics::METRICS.iter().any(|m| m.name == name));
            }
            let threshold = alert.bad.threshold().to_string();
            assert!(alert.expr.contains(&threshold) || alert.name == "RestisStoreDown");
        }
    }
}

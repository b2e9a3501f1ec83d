//! INFO as metrics with the names of redis_exporter.

use super::exporter::{FIELDS, Field};
use super::families::{Families, Labels, MetricKind, Value};

/// Fields of INFO that are labels of `redis_instance_info`.
const INSTANCE: [&str; 5] = [
    "maxmemory_policy",
    "os",
    "redis_mode",
    "redis_version",
    "role",
];

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_owned()));
    labels
}

/// `a=1,b=2` by name.
fn pairs(text: &str) -> impl Fn(&str) -> Option<f64> + '_ {
    move |name| {
        let found = text.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        });
        found?.parse().ok()
    }
}

/// Adds what one INFO tells; `labels` say whose it is.
pub(super) fn add(families: &mut Families, labels: &Labels, info: &str) {
    let mut instance = labels.clone();
    let field = |line: &str| {
        info.lines()
            .find_map(|l| l.strip_prefix(line))
            .map(str::trim)
    };
    for line in info.lines() {
        let Some((key, value)) = line.trim_end().split_once(':') else {
            continue;
        };
        if let Some(name) = INSTANCE.iter().find(|name| **name == key) {
            instance.push((*name, value.to_owned()));
        }
        plain(families, labels, key, value);
        if let ("instantaneous_ops_per_sec", Ok(rate)) = (key, value.parse()) {
            let help = "Commands a second, over the last moments.";
            families.gauge("restis_ops_per_second", help, labels.clone(), rate);
        }
        if let Some(command) = key.strip_prefix("cmdstat_") {
            command_stats(families, &with(labels, "cmd", command), value);
        } else if let Some(code) = key.strip_prefix("errorstat_") {
            error_stats(families, labels, code, value);
        } else if let Some(command) = key.strip_prefix("latency_percentiles_usec_") {
            let calls = field(&format!("cmdstat_{command}:")).unwrap_or_default();
            latency(families, &with(labels, "cmd", command), value, calls);
        } else if is_database(key) {
            add_keyspace(families, labels, key, value);
        } else if key.starts_with("slave") && value.starts_with("ip=") {
            replica(families, labels, value);
        }
    }
    families.gauge(
        "redis_instance_info",
        "What kind of Redis it is, in the labels; always 1.",
        instance,
        1.0,
    );
}

fn is_database(key: &str) -> bool {
    key.strip_prefix("db")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn plain(families: &mut Families, labels: &Labels, key: &str, value: &str) {
    let Some((_, name, field)) = FIELDS.iter().find(|(field, ..)| *field == key) else {
        return;
    };
    let is = |word: &str| Some(if value == word { 1.0 } else { 0.0 });
    let number = match field {
        Field::Status => is("ok"),
        Field::Link => is("up"),
        Field::MicrosToSeconds => value.parse::<f64>().ok().map(|micros| micros / 1e6),
        Field::Gauge | Field::Counter => value.parse().ok(),
    };
    let Some(number) = number else {
        return;
    };
    let name = format!("redis_{name}");
    let kind = match field {
        Field::Counter => MetricKind::counter(&name),
        // redis_exporter names some gauges like counters; they only grow.
        _ if name.ends_with("_total") => MetricKind::Counter,
        _ => MetricKind::Gauge,
    };
    let help = format!("{key} of INFO.");
    families.add((kind, name, help), labels.clone(), Value::Number(number));
    if key == "maxmemory" {
        let help = "The limit of memory that is configured; 0: none.";
        families.gauge("redis_config_maxmemory", help, labels.clone(), number);
    }
    if key == "uptime_in_seconds" {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let start = now.map_or(0.0, |now| (now.as_secs() as f64 - number).max(0.0));
        let help = "Unix time at which it started.";
        families.gauge("redis_start_time_seconds", help, labels.clone(), start);
    }
}

fn command_stats(families: &mut Families, labels: &Labels, value: &str) {
    let value = pairs(value);
    for (field, name, help, scale) in [
        ("calls", "redis_commands_total", "Calls of a command.", 1.0),
        (
            "usec",
            "redis_commands_duration_seconds_total",
            "Time that calls of a command took.",
            1e6,
        ),
        (
            "rejected_calls",
            "redis_commands_rejected_calls_total",
            "Calls that were refused before they ran.",
            1.0,
        ),
        (
            "failed_calls",
            "redis_commands_failed_calls_total",
            "Calls that ran and answered an error.",
            1.0,
        ),
    ] {
        if let Some(number) = value(field) {
            families.counter(name, help, labels.clone(), number / scale);
        }
    }
}

/// Error codes of Redis.
const CODES: [&str; 32] = [
    "ASK",
    "BUSY",
    "BUSYGROUP",
    "BUSYKEY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "DENIED",
    "ERR",
    "EXECABORT",
    "INPROG",
    "INVALIDOBJ",
    "IOERR",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOGOODSLAVE",
    "NOGROUP",
    "NOPERM",
    "NOPROTO",
    "NOREPLICAS",
    "NOSCRIPT",
    "NOTBUSY",
    "NOTREADY",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
    "UNKILLABLE",
    "WRONGPASS",
    "WRONGTYPE",
];

/// Scripts can make up error codes, out of keys even: what is none of Redis is not repeated.
fn error_stats(families: &mut Families, labels: &Labels, code: &str, value: &str) {
    if let (Some(count), true) = (pairs(value)("count"), CODES.contains(&code)) {
        families.counter(
            "redis_errors_total",
            "Error replies by their first word.",
            with(labels, "err", code),
            count,
        );
    }
}

fn latency(families: &mut Families, labels: &Labels, value: &str, calls: &str) {
    let (value, calls) = (pairs(value), pairs(calls));
    let quantiles = [("50", "p50"), ("99", "p99"), ("99.9", "p99.9")];
    let quantiles = quantiles
        .iter()
        .filter_map(|(name, field)| Some((*name, value(field)?)));
    let summary = Value::Summary {
        quantiles: quantiles.collect(),
        sum: calls("usec").unwrap_or(0.0),
        count: calls("calls").unwrap_or(0.0),
    };
    families.add(
        (
            MetricKind::Summary,
            "redis_latency_percentiles_usec",
            "Microseconds that calls of a command took.",
        ),
        labels.clone(),
        summary,
    );
}

/// Adds what INFO tells of one database number.
pub(super) fn add_keyspace(families: &mut Families, labels: &Labels, key: &str, value: &str) {
    let labels = with(labels, "db", key);
    let value = pairs(value);
    for (field, name, help, scale) in [
        ("keys", "redis_db_keys", "Keys.", 1.0),
        (
            "expires",
            "redis_db_keys_expiring",
            "Keys with an expiry.",
            1.0,
        ),
        (
            "avg_ttl",
            "redis_db_avg_ttl_seconds",
            "Mean time to live of keys with an expiry; 0 if unknown.",
            1e3,
        ),
    ] {
        if let Some(number) = value(field) {
            families.gauge(name, help, labels.clone(), number / scale);
        }
    }
}

fn replica(families: &mut Families, labels: &Labels, value: &str) {
    let mut labels = labels.clone();
    for (field, name) in [
        ("ip", "slave_ip"),
        ("port", "slave_port"),
        ("state", "slave_state"),
    ] {
        let found = value.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == field).then(|| value.to_owned())
        });
        labels.extend(found.map(|value| (name, value)));
    }
    let value = pairs(value);
    for (field, name, help) in [
        (
            "offset",
            "redis_connected_slave_offset_bytes",
            "How far a replica has read.",
        ),
        (
            "lag",
            "redis_connected_slave_lag_seconds",
            "Time since a replica was heard.",
        ),
    ] {
        if let Some(number) = value(field) {
            families.gauge(name, help, labels.clone(), number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_error_code_is_not_repeated() {
        let mut families = Families::default();
        let info = "errorstat_ERR:count=2\r\nerrorstat_user:17:count=1\r\nerrorstat_secret:count=1\r\nerrorstat_SECRET:count=1\r\n";
        add(&mut families, &Vec::new(), info);
        assert_eq!(families.sum("redis_errors_total"), Some(2.0));
    }
}

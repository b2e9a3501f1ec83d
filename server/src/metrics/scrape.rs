//! Gathers the numbers of a server and of each of its databases.

use std::time::Duration;

use restis_engine::{Dialect, Engine, Reply};

use super::families::{Families, Labels};
use super::{info, process};
use crate::backend::redis::{RedisBackend, Report};
use crate::database::{Backend, Database};
use crate::rest::Shared;

/// Time an embedded database gets to tell its numbers.
const BUSY: Duration = Duration::from_millis(100);
/// Time a Redis gets to.
const ASKED: Duration = Duration::from_secs(2);

/// All numbers of this moment. They hold no key, no value and no token.
pub(crate) async fn scrape(shared: &Shared) -> Families {
    let mut families = Families::default();
    for database in &shared.databases {
        match &database.backend {
            Backend::Engine(local) => {
                // One that is busy is left out this time, and counts as there.
                let told = tokio::time::timeout(BUSY, local.briefly(ask)).await;
                let answer = told.unwrap_or(Answer::Busy);
                embedded(shared, &mut families, database, answer);
            }
            Backend::Redis(redis) => behind(&mut families, database, redis).await,
        }
    }
    shared.metrics.add_to(&mut families);
    of_process(shared, &mut families);
    families
}

fn labels(database: &Database) -> Labels {
    vec![("database", database.name.clone())]
}

const UP: &str = "redis_up";
const UP_HELP: &str = "Whether the database answers.";

/// What an engine answers.
enum Answer {
    Told(Told),
    /// It refuses every command.
    Closed,
    /// It works on something long.
    Busy,
}

/// What an engine tells.
struct Told {
    info: String,
    keys: f64,
    used: f64,
    slow_count: f64,
    last_slow: Option<(f64, f64)>,
}

fn ask(engine: &Engine) -> Answer {
    let engine = engine.with_dialect(Dialect::Redis);
    let Reply::Bulk(info) = engine.call(&["INFO", "everything"]) else {
        return Answer::Closed;
    };
    let number = |reply: Reply| match reply {
        Reply::Int(number) => number as f64,
        _ => 0.0,
    };
    let last_slow = match engine.call(&["SLOWLOG", "GET", "1"]) {
        Reply::Array(entries) => match entries.into_iter().next() {
            Some(Reply::Array(fields)) => {
                let mut fields = fields.into_iter();
                let id = fields.next().map(number);
                id.zip(fields.nth(1).map(number))
            }
            _ => None,
        },
        _ => None,
    };
    Answer::Told(Told {
        info: String::from_utf8_lossy(&info).into_owned(),
        keys: number(engine.call(&["DBSIZE"])),
        used: engine.used_memory() as f64,
        slow_count: number(engine.call(&["SLOWLOG", "LEN"])),
        last_slow,
    })
}

fn embedded(shared: &Shared, families: &mut Families, database: &Database, answer: Answer) {
    let labels = labels(database);
    let up = match &answer {
        Answer::Closed => 0.0,
        Answer::Busy | Answer::Told(_) => 1.0,
    };
    families.gauge(UP, UP_HELP, labels.clone(), up);
    let (connections, blocked) = shared.clients.count(&database.name);
    let clients = connections as u64 + database.streams.get();
    let traffic = &database.traffic;
    for (name, help, value) in [
        (
            "redis_connected_clients",
            "Connections of the Redis protocol and event streams.",
            clients as f64,
        ),
        (
            "redis_blocked_clients",
            "Connections that wait for a key.",
            blocked as f64,
        ),
        (
            "redis_config_maxclients",
            "Connections that the server takes.",
            shared.limits.connections as f64,
        ),
    ] {
        families.gauge(name, help, labels.clone(), value);
    }
    for (name, help, counter) in [
        (
            "redis_net_input_bytes_total",
            "Bytes received.",
            &traffic.bytes_in,
        ),
        (
            "redis_net_output_bytes_total",
            "Bytes sent.",
            &traffic.bytes_out,
        ),
    ] {
        families.counter(name, help, labels.clone(), counter.get() as f64);
    }
    let Answer::Told(told) = answer else {
        return;
    };
    info::add(families, &labels, &told.info);
    if told.keys == 0.0 {
        // INFO tells nothing of an empty keyspace; a graph wants a zero.
        info::add_keyspace(families, &labels, "db0", "keys=0,expires=0,avg_ttl=0");
    }
    slow_log(families, &labels, Some(told.slow_count), told.last_slow);
    let help = "Keys of an embedded database.";
    families.gauge("restis_keys", help, labels.clone(), told.keys);
    let help = "Estimated size of an embedded database.";
    families.gauge("restis_memory_bytes", help, labels, told.used);
}

fn slow_log(
    families: &mut Families,
    labels: &Labels,
    count: Option<f64>,
    last: Option<(f64, f64)>,
) {
    if let Some(count) = count {
        let help = "Commands in the slow log.";
        families.gauge("redis_slowlog_length", help, labels.clone(), count);
    }
    let (id, micros) = last.unwrap_or_default();
    if count.is_some() {
        let help = "Number of the last slow command.";
        families.gauge("redis_slowlog_last_id", help, labels.clone(), id);
        let help = "Time of the last slow command.";
        families.gauge(
            "redis_last_slow_execution_duration_seconds",
            help,
            labels.clone(),
            micros / 1e6,
        );
    }
}

/// The numbers of the Redis behind a database.
async fn behind(families: &mut Families, database: &Database, redis: &RedisBackend) {
    let told = tokio::time::timeout(ASKED, redis.report()).await;
    let told = told.unwrap_or(Err(()));
    let up = if told.is_ok() { 1.0 } else { 0.0 };
    families.gauge(UP, UP_HELP, labels(database), up);
    for report in told.unwrap_or_default() {
        node(families, labels(database), report);
    }
}

fn node(families: &mut Families, mut labels: Labels, report: Report) {
    labels.extend(report.node.map(|node| ("node", node)));
    if let Some(info) = &report.info {
        info::add(families, &labels, info);
    }
    let last = report.last_slow;
    let last = last.map(|(id, micros)| (id as f64, micros as f64));
    let count = report.slow_count.map(|count| count as f64);
    slow_log(families, &labels, count, last);
    for (setting, value) in report.settings {
        let name = match setting {
            "maxclients" => "redis_config_maxclients",
            _ => "redis_config_io_threads",
        };
        families.gauge(name, "A setting of the Redis.", labels.clone(), value);
    }
}

/// What concerns the process, whatever databases it has.
fn of_process(shared: &Shared, families: &mut Families) {
    let embedded = |database: &&std::sync::Arc<Database>| database.local().is_some();
    if !shared.databases.iter().any(|database| embedded(&database)) {
        return;
    }
    let none = Labels::new;
    families.gauge(
        "redis_process_id",
        "Number of the process.",
        none(),
        f64::from(std::process::id()),
    );
    if let Some((user, system)) = process::cpu_seconds() {
        let help = "Processor time in user code.";
        families.counter("redis_cpu_user_seconds_total", help, none(), user);
        let help = "Processor time in the system.";
        families.counter("redis_cpu_sys_seconds_total", help, none(), system);
    }
    if let Some(resident) = process::resident_bytes() {
        let help = "Memory of the process, of all its databases.";
        families.gauge("redis_memory_used_rss_bytes", help, none(), resident);
        let used = families.sum("restis_memory_bytes").unwrap_or(0.0);
        let help = "Memory of the process to the memory that its databases use.";
        let ratio = resident / used.max(1.0);
        families.gauge("redis_mem_fragmentation_ratio", help, none(), ratio);
    }
}

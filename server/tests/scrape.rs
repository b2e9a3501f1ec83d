//! Metrics: the names that stock dashboards expect, three forms, and nobody's keys.
//!
//! What the names are is asked of redis_exporter itself, and whether the text is right of promtool.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use restis_server::{Running, Server, Tenants};
use serde_json::Value;
use support::redis::{ClusterProcess, RedisProcess, free_port};
use support::resp::Resp;
use support::*;

/// Names that dashboards 763, 14091 and 25843 and the rules of redis-mixin read.
const DASHBOARDS: [&str; 18] = [
    "redis_up",
    "redis_uptime_in_seconds",
    "redis_connected_clients",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "redis_mem_fragmentation_ratio",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
    "redis_commands_processed_total",
    "redis_commands_total",
    "redis_commands_duration_seconds_total",
    "redis_evicted_keys_total",
    "redis_expired_keys_total",
    "redis_db_keys",
    "redis_rejected_connections_total",
    "redis_net_input_bytes_total",
    "redis_net_output_bytes_total",
    "redis_slowlog_length",
];

/// What redis_exporter gives for a Redis and an embedded database has not, and why.
const NOT_EMBEDDED: &[(&str, &str)] = &[
    ("redis_active_defrag_", "the allocator is not defragmented"),
    ("redis_allocator_", "numbers of jemalloc"),
    (
        "redis_aof_current_rewrite_",
        "how long a rewrite takes is not kept",
    ),
    ("redis_aof_last_cow_", "nothing forks"),
    (
        "redis_aof_last_rewrite_",
        "how long a rewrite takes is not kept",
    ),
    ("redis_aof_rewrite_scheduled", "a rewrite begins at once"),
    (
        "redis_client_recent_max_",
        "buffers are bounded and not measured",
    ),
    (
        "redis_clients_in_timeout_table",
        "an implementation detail of Redis",
    ),
    ("redis_cluster_connections", "there is no cluster bus"),
    (
        "redis_config_io_threads",
        "there are no I/O threads of Redis' kind",
    ),
    ("redis_cpu_sys_children_", "there are no child processes"),
    ("redis_cpu_user_children_", "there are no child processes"),
    ("redis_cpu_sys_main_thread_", "there is no main thread"),
    ("redis_cpu_user_main_thread_", "there is no main thread"),
    ("redis_defrag_", "the allocator is not defragmented"),
    (
        "redis_dump_payload_sanitizations",
        "every payload is checked",
    ),
    (
        "redis_expired_stale_percentage",
        "how Redis samples expired keys",
    ),
    (
        "redis_expired_time_cap_reached_total",
        "how Redis samples expired keys",
    ),
    ("redis_io_thread", "there are no I/O threads of Redis' kind"),
    ("redis_latest_fork_seconds", "nothing forks"),
    (
        "redis_lazyfree_pending_objects",
        "values are freed at once, outside the lock",
    ),
    ("redis_master_repl_offset", "there is no replication"),
    (
        "redis_mem_clients_",
        "buffers are not part of a database's memory",
    ),
    (
        "redis_mem_fragmentation_bytes",
        "memory used is an estimate: the ratio tells more",
    ),
    (
        "redis_mem_not_counted_for_eviction_bytes",
        "all that is kept counts",
    ),
    (
        "redis_memory_used_lua_bytes",
        "interpreters have a bound of their own",
    ),
    (
        "redis_memory_used_startup_bytes",
        "an empty database takes nothing",
    ),
    ("redis_migrate_cached_sockets_total", "there is no MIGRATE"),
    ("redis_module_fork_", "there are no modules"),
    (
        "redis_rdb_current_bgsave_",
        "how long a rewrite takes is not kept",
    ),
    (
        "redis_rdb_last_bgsave_duration_",
        "how long a rewrite takes is not kept",
    ),
    ("redis_rdb_last_cow_", "nothing forks"),
    ("redis_repl", "there is no replication"),
    ("redis_second_repl_offset", "there is no replication"),
    (
        "redis_slave_expires_tracked_keys",
        "there is no replication",
    ),
    (
        "redis_total_reads_processed",
        "reads of sockets are not counted",
    ),
    (
        "redis_total_writes_processed",
        "writes of sockets are not counted",
    ),
    ("redis_tracking_", "there is no client-side caching"),
    ("redis_unexpected_error_replies", "how Redis checks itself"),
];

/// What redis_exporter tells about itself.
const OF_EXPORTER: [&str; 6] = [
    "redis_exporter_",
    "redis_target_scrape_",
    "redis_last_key_groups_scrape_",
    "go_",
    "process_",
    "promhttp_",
];

/// Names of redis_exporter that promtool itself rejects.
const REJECTED: [&str; 5] = [
    "redis_aof_current_rewrite_duration_sec",
    "redis_aof_last_rewrite_duration_sec",
    "redis_rdb_current_bgsave_duration_sec",
    "redis_rdb_last_bgsave_duration_sec",
    "redis_latency_percentiles_usec",
];

/// Whether a program is there; in CI it must be.
fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{program} is missing"
    );
    found
}

struct Exporter {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    fn start(redis: &str, password: &str) -> Option<Self> {
        if !has("prometheus-redis-exporter") {
            return None;
        }
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new("prometheus-redis-exporter")
            .args(["-redis.addr", redis, "-redis.password", password])
            .args(["-web.listen-address", &addr.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let exporter = Self { child, addr };
        eventually("the exporter answers", || {
            Connection::try_open(addr).is_ok()
        });
        Some(exporter)
    }

    fn names(&self) -> BTreeSet<String> {
        // HTTP/1.0, so that the answer is not chunked.
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("\nredis_up 1\n"), "{text}");
        let mut names = names_of(&text);
        names.retain(|name| !OF_EXPORTER.iter().any(|prefix| name.starts_with(prefix)));
        names
    }
}

/// The names that a text declares.
fn names_of(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

fn embedded() -> Running {
    Server::builder()
        .token(TOKEN)
        .redis_protocol(["127.0.0.1:0".parse().unwrap()])
        .admin("127.0.0.1:0".parse().unwrap())
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

fn in_front_of(url: &str) -> Running {
    Server::builder()
        .redis(TOKEN, url)
        .admin("127.0.0.1:0".parse().unwrap())
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

fn scrape(server: &Running, form: &str) -> String {
    let target = format!("/metrics?format={form}");
    let response = request(server.admin_addr().unwrap(), "GET", &target, &[], "");
    assert_eq!(response.status, 200);
    response.text()
}

/// What promtool objects to.
fn objections(text: &str) -> Vec<String> {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn use_some(server: &Running) {
    for words in [
        &["SET", "k", "v"][..],
        &["SET", "short", "v", "EX", "1000"],
        &["GET", "k"],
        &["GET", "nothing"],
        &["LPUSH", "k", "v"],
        &["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"],
        &["SET", "too", "few", "EX"],
        &["GET"],
    ] {
        command(server.addr(), words);
    }
}

#[test]
fn an_embedded_database_has_the_names_that_dashboards_read() {
    let server = embedded();
    use_some(&server);
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.line("CONFIG SET slowlog-log-slower-than 0"), "+OK");
    resp.line("GET k");
    let text = scrape(&server, "prometheus");
    let names = names_of(&text);
    for name in DASHBOARDS {
        assert!(names.contains(name), "{name}");
    }
    for line in [
        "redis_up{database=\"db0\"} 1",
        "redis_keyspace_misses_total{database=\"db0\"} 1",
        "redis_commands_total{database=\"db0\",cmd=\"set\"} 3",
        "redis_commands_total{database=\"db0\",cmd=\"get\"} 4",
        "redis_commands_failed_calls_total{database=\"db0\",cmd=\"set\"} 1",
        "redis_commands_rejected_calls_total{database=\"db0\",cmd=\"get\"} 1",
        "redis_errors_total{database=\"db0\",err=\"WRONGTYPE\"} 1",
        "redis_db_keys_expiring{database=\"db0\",db=\"db0\"} 1",
        "redis_connected_clients{database=\"db0\"} 1",
        "redis_connected_slaves{database=\"db0\"} 0",
        "redis_rejected_connections_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("redis_slowlog_length{database=\"db0\"} "));
    assert!(!text.contains("redis_slowlog_length{database=\"db0\"} 0"));
}

#[test]
fn an_embedded_database_has_what_redis_exporter_gives() {
    let (Some(redis), true) = (RedisProcess::start(&[]), has("promtool")) else {
        return;
    };
    let server = embedded();
    use_some(&server);
    let text = scrape(&server, "prometheus");
    let ours = names_of(&text);
    // Asked through our own port of the Redis protocol.
    let addr = server.redis_addr().unwrap();
    let Some(exporter) = Exporter::start(&format!("redis://{addr}"), TOKEN) else {
        return;
    };
    let missing: Vec<_> = exporter.names().difference(&ours).cloned().collect();
    assert_eq!(missing, Vec::<String>::new());
    // Asked of a Redis: what is missing has no meaning here.
    redis.raw("EVAL return(1) 0");
    redis.raw("LPUSH k v");
    redis.raw("INCR k");
    let exporter = Exporter::start(&redis.url(), "").unwrap();
    let theirs = exporter.names();
    let excepted = |name: &str| NOT_EMBEDDED.iter().any(|(no, _)| name.starts_with(no));
    let missing: Vec<_> = theirs.difference(&ours).collect();
    let missing: Vec<_> = missing.iter().filter(|name| !excepted(name)).collect();
    assert_eq!(missing, Vec::<&&String>::new());
    for (prefix, why) in NOT_EMBEDDED {
        let needed = theirs.iter().any(|name| name.starts_with(prefix));
        assert!(needed, "redis_exporter gives no {prefix}… ({why})");
        assert!(
            !ours.iter().any(|name| name.starts_with(prefix)),
            "{prefix}"
        );
    }
    let objections = objections(&text);
    let excepted = |line: &&String| !REJECTED.iter().any(|name| line.starts_with(name));
    let objections: Vec<_> = objections.iter().filter(excepted).collect();
    assert_eq!(objections, Vec::<&String>::new());
}

#[test]
fn a_redis_behind_the_server_has_what_redis_exporter_gives() {
    let (Some(redis), true) = (RedisProcess::start(&[]), has("promtool")) else {
        return;
    };
    let server = in_front_of(&redis.url());
    use_some(&server);
    let Some(exporter) = Exporter::start(&redis.url(), "") else {
        return;
    };
    let text = scrape(&server, "prometheus");
    let ours = names_of(&text);
    let missing: Vec<_> = exporter.names().difference(&ours).cloned().collect();
    assert_eq!(missing, Vec::<String>::new());
    for line in [
        "redis_up{database=\"db0\"} 1",
        "redis_commands_failed_calls_total{database=\"db0\",cmd=\"lpush\"} 1",
        "redis_keyspace_hits_total{database=\"db0\"} 2",
        "redis_db_keys{database=\"db0\",db=\"db0\"} 2",
        "redis_config_maxclients{database=\"db0\"} 10000",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let objections = objections(&text);
    let excepted = |line: &&String| !REJECTED.iter().any(|name| line.starts_with(name));
    let objections: Vec<_> = objections.iter().filter(excepted).collect();
    assert_eq!(objections, Vec::<&String>::new());
    drop(redis);
    let text = scrape(&server, "prometheus");
    assert!(text.contains("redis_up{database=\"db0\"} 0\n"), "{text}");
    assert!(!text.contains("redis_uptime_in_seconds"), "{text}");
}

#[test]
fn every_node_of_a_cluster_is_told_apart() {
    let Some(cluster) = ClusterProcess::start() else {
        return;
    };
    let server = in_front_of(&cluster.url());
    command(server.addr(), &["SET", "k", "v"]);
    let text = scrape(&server, "prometheus");
    assert!(text.contains("redis_up{database=\"db0\"} 1\n"), "{text}");
    for node in &cluster.nodes {
        let line = format!(
            "redis_cluster_enabled{{database=\"db0\",node=\"127.0.0.1:{}\"}} 1\n",
            node.port
        );
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn no_form_tells_keys_values_or_tokens_of_a_tenant() {
    let mut tenants = Tenants::new();
    tenants.add(TOKEN, None);
    tenants.add("OTHER", None);
    let server = Server::builder()
        .tenants(tenants)
        .redis_protocol(["127.0.0.1:0".parse().unwrap()])
        .admin("127.0.0.1:0".parse().unwrap())
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap();
    let mut resp = Resp::open(&server, TOKEN);
    resp.line("CONFIG SET slowlog-log-slower-than 0");
    resp.line("SET secretkey secretvalue");
    resp.call(&["EVAL", "return redis.error_reply('secretkey failed')", "0"]);
    resp.call(&[
        "EVAL",
        "return redis.error_reply('user:secretkey failed')",
        "0",
    ]);
    resp.call(&["EVAL", "return redis.error_reply('SECRETKEY failed')", "0"]);
    resp.line("SECRETKEY");
    resp.line("SUBSCRIBE secretkey");
    for form in ["prometheus", "openmetrics", "json"] {
        let text = scrape(&server, form);
        assert!(!text.to_lowercase().contains("secret"), "{text}");
        assert!(!text.contains("TOKEN") && !text.contains("OTHER"), "{text}");
    }
    let text = scrape(&server, "prometheus");
    assert!(text.contains("redis_db_keys{database=\"db0\",db=\"db0\"} 1\n"));
    assert!(text.contains("redis_db_keys{database=\"db1\",db=\"db0\"} 0\n"));
}

#[test]
fn the_form_is_negotiated() {
    let server = embedded();
    use_some(&server);
    let admin = server.admin_addr().unwrap();
    let ask = |accept: &str| request(admin, "GET", "/metrics", &[("Accept", accept)], "");
    let plain = ask("*/*");
    let kind = plain.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    let open = ask("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(kind));
    assert!(open.text().ends_with("# EOF\n"));
    let json = ask("application/json");
    assert_eq!(json.header("content-type"), Some("application/json"));
    let json: Value = serde_json::from_str(&json.text()).unwrap();
    let latency = &json["metrics"]["restis_request_seconds"]["samples"][0];
    for share in ["p50", "p95", "p99"] {
        assert!(latency[share].as_f64().unwrap() > 0.0, "{latency}");
    }
    let up = &json["metrics"]["redis_up"];
    assert_eq!(up["type"], "gauge");
    assert_eq!(up["samples"][0]["labels"]["database"], "db0");
    let wrong = request(admin, "GET", "/metrics?format=xml", &[], "");
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.text(), "format is prometheus, openmetrics or json\n");
}

#[test]
fn the_slow_log_tells_what_was_slow() {
    let server = embedded();
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.line("SLOWLOG LEN"), ":0");
    assert_eq!(
        resp.line("CONFIG GET slowlog-log-slower-than"),
        "*2 $slowlog-log-slower-than $10000"
    );
    assert_eq!(
        resp.line("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2"),
        "+OK"
    );
    resp.line("SET k v");
    resp.line("GET k");
    assert_eq!(resp.line("SLOWLOG LEN"), ":2");
    let entry = resp.line("SLOWLOG GET 1");
    assert!(
        entry.contains("SLOWLOG") && entry.contains("LEN"),
        "{entry}"
    );
    assert_eq!(resp.line("CONFIG SET slowlog-log-slower-than -1"), "+OK");
    assert_eq!(resp.line("SLOWLOG RESET"), "+OK");
    resp.line("GET k");
    assert_eq!(resp.line("SLOWLOG GET"), "*0");
    assert_eq!(
        resp.line("SLOWLOG GET -2"),
        "-ERR count should be greater than or equal to -1"
    );
    let refused = resp.line("CONFIG SET slowlog-max-len 100000");
    assert!(refused.starts_with("-ERR CONFIG SET failed"), "{refused}");
    assert_eq!(
        resp.line("CONFIG GET slowlog-max-len"),
        "*2 $slowlog-max-len $2"
    );
}

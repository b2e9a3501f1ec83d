//! A Redis found through sentinels, before and after a failover.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use support::redis::RedisProcess;
use support::*;

#[test]
fn sentinels_lead_to_the_master_also_after_a_failover() {
    let Some(master) = RedisProcess::start(&[]) else {
        return;
    };
    let replica = RedisProcess::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let replica = replica.unwrap();
    let sentinel = RedisProcess::sentinel(&master);
    eventually("the sentinel knows both", || {
        let info = sentinel.raw("SENTINEL MASTER mymaster");
        info.contains("num-slaves\r\n$1\r\n1")
            && replica
                .raw("INFO replication")
                .contains("master_link_status:up")
    });
    let url = format!("redis-sentinel://127.0.0.1:{}/mymaster", sentinel.port);
    let server = redis_server(&url);
    assert_eq!(
        command(server.addr(), &["SET", "k", "v"]),
        r#"{"result":"OK"}"#
    );
    assert!(master.raw("GET k").ends_with("v\r\n"));
    eventually("the write is replicated", || {
        replica.raw("GET k").ends_with("v\r\n")
    });
    drop(master);
    eventually("the replica has taken over", || {
        command(server.addr(), &["SET", "k", "w"]) == r#"{"result":"OK"}"#
    });
    assert!(replica.raw("GET k").ends_with("w\r\n"));
}

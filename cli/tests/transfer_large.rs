//! Moving what is large, and moving to and from a Redis Cluster.
#![cfg(unix)]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests"
)]

mod support;

use std::process::{Child, Stdio};
use std::time::Duration;

use restis::{Command, Reply};
use support::stores::{Directory, Store, block_on, contents, fill};

#[test]
fn every_type_moves_between_engine_and_cluster_in_both_directions() {
    let (Some(one), Some(two)) = (Store::cluster(), Store::cluster()) else {
        return;
    };
    for (from, to) in [(Store::engine(), one), (two, Store::engine())] {
        let directory = Directory::new();
        let file = directory.file("export");
        block_on(fill(&from.client(), 500));
        from.succeeds(&["export", &file]);
        let said = to.succeeds(&["import", &file, "--verify"]);
        let before = block_on(contents(&from.client()));
        let after = block_on(contents(&to.client()));
        assert!(before == after, "{said}");
        assert!(before.len() > 500 && said.contains(", 0 differ"), "{said}");
    }
}

/// The largest size that the process had in memory, in bytes; it may end meanwhile.
#[cfg(target_os = "linux")]
fn peak(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() * 1024);
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

/// `RESTIS_TRANSFER_MB` is how much is moved.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_however_much_is_moved() {
    const MOST: u64 = 64 << 20;
    const PIECE: usize = 64 << 10;
    let megabytes = std::env::var("RESTIS_TRANSFER_MB").ok();
    let megabytes: usize = megabytes.map_or(96, |text| text.parse().unwrap());
    let (from, to) = (Store::engine(), Store::engine());
    let pieces = (megabytes << 20) / PIECE;
    block_on(async {
        let redis = from.client();
        let value = "0123456789abcdef".repeat(PIECE / 16);
        for start in (0..pieces).step_by(32) {
            let mut pipeline = redis.pipeline();
            for piece in start..(start + 32).min(pieces) {
                // Lists and hashes of 4 MB between strings.
                let group = piece / 64;
                let command = Command::<Reply>::new(["SET", "RPUSH", "HSET"][group % 3]);
                let command = match group % 3 {
                    0 => command.arg(format!("text:{piece}")),
                    1 => command.arg(format!("list:{group}")),
                    _ => command.arg(format!("hash:{group}")).arg(piece),
                };
                pipeline.add(command.arg(&value));
            }
            pipeline.exec().await.unwrap();
        }
    });
    let directory = Directory::new();
    let file = directory.file("export");
    for (store, args) in [
        (&from, &["export", &file][..]),
        (&to, &["import", &file, "--verify"]),
    ] {
        let mut child = store.command(args).stderr(Stdio::null()).spawn().unwrap();
        let peak = peak(&mut child);
        assert!(child.wait().unwrap().success(), "{args:?}");
        println!("{}: {} MB at most for {megabytes} MB", args[0], peak >> 20);
        assert!((1..=MOST).contains(&peak), "{args:?}: {peak} bytes");
    }
}

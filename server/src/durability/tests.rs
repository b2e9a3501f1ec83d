//! Files that end early, are damaged, or cannot be written.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use restis_engine::{Caller, ChangeLog as _, Engine, Options, Reply};

use super::files::Place;
use super::log::{DatabaseLog, Told};
use super::open::open;
use super::writer::{Host, LogFile, Writer};
use super::{SyncPolicy, format, repair, writer};

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("restis-log-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn place(&self) -> Place {
        Place::new(&self.0, "db0")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Remembers records.
#[derive(Debug, Default)]
struct Records(Mutex<Vec<Vec<u8>>>);

impl restis_engine::ChangeLog for Records {
    fn append(&self, record: &[u8]) {
        self.0.lock().unwrap().push(record.to_vec());
    }

    fn refusal(&self) -> Option<restis_engine::Error> {
        None
    }

    fn start_rewrite(&self) -> Result<(), restis_engine::Error> {
        Ok(())
    }

    fn status(&self) -> restis_engine::LogStatus {
        restis_engine::LogStatus::default()
    }
}

fn engine() -> Engine {
    Engine::new(Options::default().name("db0"))
}

/// Ten transactions: two counters that always agree, a list, a large set that loses members.
fn records() -> Vec<Vec<u8>> {
    let engine = engine();
    let records = Arc::new(Records::default());
    engine.set_log(records.clone());
    let caller = Caller::default();
    for _ in 0..4 {
        let rows: [&[&str]; 3] = [&["INCR", "x"], &["RPUSH", "l", "item"], &["INCR", "y"]];
        engine.transaction(&caller, &rows).unwrap();
    }
    let members: Vec<String> = (0..40).map(|n| format!("member-{n}")).collect();
    let mut sadd = vec!["SADD", "s"];
    sadd.extend(members.iter().map(String::as_str));
    engine.call(&sadd);
    engine.call(&["SPOP", "s", "3"]);
    let script = "for n = 1, 3 do redis.call('INCR', 'x') end redis.call('INCRBY', 'y', 3)";
    engine.call(&["EVAL", script, "0"]);
    engine.call(&["SET", "k", "v", "PX", "100000"]);
    engine.call(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function() return 7 end)",
    ]);
    engine.call(&["ACL", "SETUSER", "alice", "on", "~a*", "+get"]);
    let records = records.0.lock().unwrap().clone();
    assert_eq!(records.len(), 10);
    records
}

fn log_of(records: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let mut log = format::header(0).to_vec();
    let mut ends = vec![log.len()];
    for record in records {
        format::append_record(&mut log, 0, record);
        ends.push(log.len());
    }
    (log, ends)
}

fn number(engine: &Engine, key: &str) -> i64 {
    match engine.call(&["GET", key]) {
        Reply::Bulk(text) => std::str::from_utf8(&text).unwrap().parse().unwrap(),
        _ => 0,
    }
}

#[test]
fn a_log_cut_anywhere_loads_whole_transactions_and_is_cut_there() {
    let dir = Dir::new("cut");
    let path = dir.place().log(0);
    let (log, ends) = log_of(&records());
    let whole = |cut: usize| ends.iter().rev().find(|end| **end <= cut).copied();
    for cut in 0..=log.len() {
        fs::write(&path, &log[..cut]).unwrap();
        let engine = engine();
        open(&engine, &dir.place(), "db0").unwrap();
        assert_eq!(number(&engine, "x"), number(&engine, "y"), "{cut}");
        let kept = whole(cut).unwrap_or(ends[0]);
        assert_eq!(fs::read(&path).unwrap(), log[..kept], "{cut}");
    }
}

#[test]
fn every_flipped_byte_of_a_log_stops_the_start_or_is_cut_off() {
    let dir = Dir::new("flip");
    let path = dir.place().log(0);
    let (log, ends) = log_of(&records());
    let last = ends[ends.len() - 2];
    for at in 0..log.len() {
        let mut flipped = log.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let engine = engine();
        let opened = open(&engine, &dir.place(), "db0");
        if at < last {
            let error = opened.unwrap_err();
            assert!(error.contains("restis repair"), "{at}: {error}");
            assert_eq!(fs::read(&path).unwrap(), flipped, "{at}");
        } else {
            // What is damaged at the end cannot be told from what was never complete.
            opened.unwrap();
            assert_eq!(fs::read(&path).unwrap(), log[..last], "{at}");
        }
    }
}

#[test]
fn repair_keeps_what_is_whole_and_says_what_is_lost() {
    let dir = Dir::new("repair");
    let place = dir.place();
    let (mut log, ends) = log_of(&records());
    log[ends[4] + 30] ^= 1;
    fs::write(place.log(0), &log).unwrap();
    assert!(open(&engine(), &place, "db0").is_err());
    let repaired = repair(&dir.0).unwrap();
    let [repaired] = &repaired[..] else {
        panic!("one database");
    };
    assert_eq!(repaired.database, "db0");
    assert!(
        repaired.losses[0].contains("are damaged"),
        "{:?}",
        repaired.losses
    );
    // The SREM of the lost set changes nothing, and fails nothing.
    assert_eq!(repaired.losses.len(), 1, "{:?}", repaired.losses);
    let kept = repaired.kept.as_ref().unwrap().join("db0.0.log");
    assert_eq!(fs::read(kept).unwrap(), log);
    let engine = engine();
    open(&engine, &place, "db0").unwrap();
    assert_eq!((number(&engine, "x"), number(&engine, "y")), (7, 7));
    assert_eq!(engine.call(&["FCALL", "f", "0"]), Reply::Int(7));
    assert_eq!(engine.keys(), repaired.keys);
    let again = repair(&dir.0).unwrap();
    assert!(again[0].losses.is_empty() && again[0].kept.is_none());
}

#[test]
fn repair_reads_a_damaged_snapshot_up_to_the_damage() {
    let dir = Dir::new("repair-snapshot");
    let place = dir.place();
    let saved = engine();
    for n in 0..100 {
        saved.call(&["SET", &format!("k{n}"), "v"]);
    }
    let mut bytes = Vec::new();
    saved.save(&mut bytes).unwrap();
    let half = bytes.len() / 2;
    fs::write(place.snapshot(0), &bytes[..half]).unwrap();
    let error = open(&engine(), &place, "db0").unwrap_err();
    assert!(error.contains("restis repair"), "{error}");
    let repaired = &repair(&dir.0).unwrap()[0];
    assert!((40..60).contains(&repaired.keys), "{}", repaired.keys);
    assert!(
        repaired.losses[0].contains("is torn"),
        "{:?}",
        repaired.losses
    );
    let engine = engine();
    open(&engine, &place, "db0").unwrap();
    assert_eq!(engine.keys(), repaired.keys);
}

#[test]
fn a_missing_file_is_named() {
    let dir = Dir::new("missing");
    let place = dir.place();
    let (log, _) = log_of(&records());
    let log_of = |generation: u64| {
        fs::write(place.log(generation), format::header(generation)).unwrap();
    };
    fs::write(place.log(0), &log).unwrap();
    log_of(2);
    let error = open(&engine(), &place, "db0").unwrap_err();
    assert!(error.contains("db0.1.log is missing"), "{error}");
    fs::remove_file(place.log(0)).unwrap();
    let error = open(&engine(), &place, "db0").unwrap_err();
    assert!(error.contains("db0.2.restis is missing"), "{error}");
    log_of(0);
    log_of(1);
    fs::write(place.log(0), &log[..log.len() - 1]).unwrap();
    let error = open(&engine(), &place, "db0").unwrap_err();
    assert!(error.contains("a newer one follows it"), "{error}");
}

#[test]
fn a_snapshot_of_an_older_version_is_loaded_and_continued() {
    let dir = Dir::new("older");
    let place = dir.place();
    let before = engine();
    before.call(&["SET", "k", "v"]);
    before
        .save(&mut fs::File::create(place.snapshot(0)).unwrap())
        .unwrap();
    let engine = engine();
    let opened = open(&engine, &place, "db0").unwrap();
    assert_eq!((opened.base, opened.generation), (0, 0));
    assert!(place.log(0).exists());
    assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("v"));
}

/// A disk that fails when told to.
#[derive(Debug, Default)]
struct Disk {
    full: AtomicBool,
    no_sync: AtomicBool,
    syncs: AtomicU64,
    bytes: Mutex<Vec<u8>>,
}

struct DiskFile(Arc<Disk>);

impl LogFile for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.0.bytes.lock().unwrap();
        if self.0.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // Never more than some at once.
        let some = bytes.len().min(100);
        file.extend_from_slice(&bytes[..some]);
        Ok(some)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.0.no_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

struct DiskHost(Arc<Disk>);

impl Host for DiskHost {
    fn create(&self, generation: u64) -> io::Result<Box<dyn LogFile>> {
        *self.0.bytes.lock().unwrap() = format::header(generation).to_vec();
        Ok(Box::new(DiskFile(Arc::clone(&self.0))))
    }

    fn rewrite(&mut self, log: &Arc<DatabaseLog>) {
        // The snapshot is there at once.
        let generation = log.switch();
        log.queue().base = generation;
        log.tell(|told| {
            told.rewriting = false;
            told.rewrites += 1;
        });
    }

    fn finish(&mut self) {}
}

struct Fixture {
    engine: Engine,
    log: Arc<DatabaseLog>,
    disk: Arc<Disk>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Fixture {
    fn new(policy: SyncPolicy) -> Self {
        let disk = Arc::new(Disk::default());
        let log = Arc::new(DatabaseLog::new(policy, 0, 0, Told::default()));
        let host = Box::new(DiskHost(Arc::clone(&disk)));
        let file = host.create(0).unwrap();
        let writer = Writer::new(Arc::clone(&log), host, file, 0);
        let engine = engine();
        engine.set_log(Arc::clone(&log) as _);
        Self {
            engine,
            log,
            disk,
            thread: Some(std::thread::spawn(move || writer.run())),
        }
    }

    fn stop(&mut self) -> Result<(), String> {
        self.log.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    /// What the bytes on the disk load.
    fn loaded(&self, generation: u64) -> Engine {
        let dir = Dir::new(&format!("disk-{:p}", self.disk));
        let place = dir.place();
        if generation > 0 {
            // What a real snapshot would have had.
            engine()
                .save(&mut fs::File::create(place.snapshot(generation)).unwrap())
                .unwrap();
        }
        fs::write(place.log(generation), &*self.disk.bytes.lock().unwrap()).unwrap();
        let engine = engine();
        open(&engine, &place, "db0").unwrap();
        engine
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    for policy in [SyncPolicy::Always, SyncPolicy::EverySecond] {
        let mut fixture = Fixture::new(policy);
        let (engine, log) = (fixture.engine.clone(), Arc::clone(&fixture.log));
        let always = policy == SyncPolicy::Always;
        engine.call(&["SET", "before", &"v".repeat(1000)]);
        log.settled(true).await.unwrap();
        fixture.disk.full.store(true, Ordering::SeqCst);
        engine.call(&["SET", "during", "v"]);
        // Executed, and with `always` not acknowledged.
        let settled = log.settled(true).await;
        assert_eq!(settled.is_err(), always);
        if let Err(error) = settled {
            assert!(error.message().starts_with("MISCONF"), "{error}");
        }
        let mut progress = log.progress.subscribe();
        progress.wait_for(|progress| progress.failed).await.unwrap();
        let Reply::Error(refused) = engine.call(&["SET", "refused", "v"]) else {
            panic!("a write is refused");
        };
        assert!(
            refused.message().starts_with("MISCONF Errors writing"),
            "{refused}"
        );
        let script = "return redis.call('SET', 'refused', 'v')";
        assert!(engine.call(&["EVAL", script, "0"]).is_error());
        let rows: [&[&str]; 2] = [&["GET", "before"], &["SET", "refused", "v"]];
        let discarded = engine.transaction(&Caller::default(), &rows).unwrap_err();
        assert!(discarded.message().contains("MISCONF"), "{discarded}");
        assert_eq!(engine.call(&["STRLEN", "before"]), Reply::Int(1000));
        log.settled(false).await.unwrap();
        assert!(log.status().write_failed);
        fixture.disk.full.store(false, Ordering::SeqCst);
        progress
            .wait_for(|progress| !progress.failed)
            .await
            .unwrap();
        written(&engine, "after").await;
        log.settled(true).await.unwrap();
        fixture.stop().unwrap();
        let loaded = fixture.loaded(0);
        let keys = ["EXISTS", "before", "during", "after"];
        assert_eq!(loaded.call(&keys), Reply::Int(3));
        assert_eq!(loaded.call(&["EXISTS", "refused"]), Reply::Int(0));
    }
}

/// Writes a key as soon as writes are accepted: waiters wake just before the refusal is lifted.
async fn written(engine: &Engine, key: &str) {
    let accepted = async {
        while engine.call(&["SET", key, "v"]) != Reply::ok() {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, accepted).await.unwrap();
}

#[tokio::test]
async fn after_a_failed_sync_nothing_counts_until_there_is_a_new_snapshot() {
    let mut fixture = Fixture::new(SyncPolicy::Always);
    let (engine, log) = (fixture.engine.clone(), Arc::clone(&fixture.log));
    fixture.disk.no_sync.store(true, Ordering::SeqCst);
    engine.call(&["SET", "a", "v"]);
    assert!(log.settled(true).await.is_err());
    fixture.disk.no_sync.store(false, Ordering::SeqCst);
    let mut progress = log.progress.subscribe();
    progress
        .wait_for(|progress| !progress.failed)
        .await
        .unwrap();
    written(&engine, "b").await;
    log.settled(true).await.unwrap();
    let generation = log.queue().created;
    assert!(generation > 0, "there is no new snapshot");
    fixture.stop().unwrap();
    assert_eq!(
        fixture.loaded(generation).call(&["EXISTS", "b"]),
        Reply::Int(1)
    );
}

#[tokio::test]
async fn many_that_wait_share_a_sync() {
    let mut fixture = Fixture::new(SyncPolicy::Always);
    let mut all = Vec::new();
    for n in 0..1000 {
        fixture.engine.call(&["SET", &format!("k{n}"), "v"]);
        all.push(fixture.log.settled(true));
    }
    for settled in futures_util::future::join_all(all).await {
        settled.unwrap();
    }
    let syncs = fixture.disk.syncs.load(Ordering::SeqCst);
    assert!(syncs <= 3, "{syncs} syncs");
    fixture.stop().unwrap();
}

#[test]
fn a_stopped_log_has_everything() {
    for policy in [
        SyncPolicy::EverySecond,
        SyncPolicy::Never,
        SyncPolicy::Always,
    ] {
        let mut fixture = Fixture::new(policy);
        for n in 0..100 {
            fixture.engine.call(&["SET", &format!("k{n}"), "v"]);
        }
        fixture.stop().unwrap();
        assert_eq!(fixture.loaded(0).keys(), 100);
        assert!(fixture.engine.call(&["SET", "late", "v"]).is_error());
    }
}

#[test]
fn a_new_log_is_private_and_begins_with_its_header() {
    let dir = Dir::new("create");
    drop(writer::create(&dir.place(), 3).unwrap());
    let path: &Path = &dir.place().log(3);
    assert_eq!(fs::read(path).unwrap(), format::header(3));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

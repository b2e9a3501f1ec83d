use std::sync::{Arc, Mutex};

use restis_engine::{Frame, Sink};

use crate::Fixture;

/// Keeps frames as text until it is told to be gone.
#[derive(Default)]
struct Recorder {
    frames: Mutex<Vec<String>>,
    gone: std::sync::atomic::AtomicBool,
}

impl Recorder {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.frames.lock().unwrap())
    }
}

impl Sink for Recorder {
    fn push(&self, frame: Frame) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.frames.lock().unwrap().push(match &frame {
            Frame::Subscribed { channel, count } => format!("+{} {count}", text(channel)),
            Frame::PatternSubscribed { pattern, count } => format!("*{} {count}", text(pattern)),
            Frame::Message { channel, payload } => {
                format!("{} {}", text(channel), text(payload))
            }
            Frame::PatternMessage {
                pattern,
                channel,
                payload,
            } => format!("{} {} {}", text(pattern), text(channel), text(payload)),
            Frame::Monitor(line) => text(line),
            _ => "?".to_owned(),
        });
        !self.gone.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn recorder() -> (Arc<Recorder>, Arc<dyn Sink>) {
    let recorder = Arc::new(Recorder::default());
    let sink: Arc<dyn Sink> = recorder.clone();
    (recorder, sink)
}

#[test]
fn messages_reach_channels_and_patterns_until_the_subscription_drops() {
    let fixture = Fixture::new();
    let (recorder, sink) = recorder();
    let subscription = fixture.engine.subscribe(&["a", "b"], &["a*"], sink);
    assert_eq!(recorder.take(), ["+a 1", "+b 2", "*a* 3"]);
    fixture.expect(&[
        ("PUBLISH a hi", "2"),
        ("PUBLISH ab hi", "1"),
        ("PUBLISH z hi", "0"),
        ("~PUBSUB CHANNELS", "[a b]"),
        ("PUBSUB CHANNELS b*", "[b]"),
        ("PUBSUB NUMSUB a z", "[a 1 z 0]"),
        ("PUBSUB NUMPAT", "1"),
    ]);
    assert_eq!(recorder.take(), ["a hi", "a* a hi", "a* ab hi"]);
    drop(subscription);
    fixture.expect(&[("PUBLISH a hi", "0"), ("PUBSUB CHANNELS", "[]")]);
}

#[test]
fn a_consumer_that_is_gone_is_forgotten() {
    let fixture = Fixture::new();
    let (recorder, sink) = recorder();
    let _subscription = fixture.engine.subscribe(&["a"], &[], sink);
    recorder
        .gone
        .store(true, std::sync::atomic::Ordering::Relaxed);
    fixture.expect(&[("PUBLISH a x", "0"), ("PUBSUB NUMSUB a", "[a 0]")]);
}

#[test]
fn keyspace_notifications_tell_of_every_kind_of_change() {
    let fixture = Fixture::new();
    fixture.run("CONFIG SET notify-keyspace-events KEA");
    let (recorder, sink) = recorder();
    let _subscription = fixture.engine.subscribe(&[], &["__keyevent@0__:*"], sink);
    recorder.take();
    for line in [
        "SET k v",
        "EXPIRE k 10",
        "DEL k",
        "RPUSH l a",
        "LPOP l",
        "HSET h f v",
        "ZADD z 1 a",
        "GET k",
    ] {
        fixture.run(line);
    }
    let events: Vec<String> = recorder
        .take()
        .iter()
        .map(|frame| frame.replace("__keyevent@0__:* __keyevent@0__:", ""))
        .collect();
    assert_eq!(
        events,
        [
            "set k", "expire k", "del k", "rpush l", "lpop l", "del l", "hset h", "zadd z"
        ]
    );
    fixture.run("SET k v PX 5");
    recorder.take();
    fixture.pass(10);
    fixture.run("GET k");
    assert_eq!(
        recorder.take(),
        ["__keyevent@0__:* __keyevent@0__:expired k"]
    );
}

#[test]
fn a_read_that_misses_is_told_when_asked_for() {
    let fixture = Fixture::new();
    fixture.run("CONFIG SET notify-keyspace-events Em");
    let (recorder, sink) = recorder();
    let _subscription = fixture.engine.subscribe(&[], &["__keyevent@0__:*"], sink);
    recorder.take();
    for line in ["GET none", "HGET none f", "SETNX new v", "GET new"] {
        fixture.run(line);
    }
    let miss = "__keyevent@0__:* __keyevent@0__:keymiss none";
    assert_eq!(recorder.take(), [miss, miss]);
    let info = fixture.run("INFO stats");
    assert!(
        info.contains("keyspace_hits:1\r\nkeyspace_misses:2\r\n"),
        "{info}"
    );
}

#[test]
fn the_monitor_sees_commands_quoted_and_no_operator_commands() {
    let fixture = Fixture::new();
    let (recorder, sink) = recorder();
    let monitor = fixture.engine.monitor(sink);
    fixture
        .engine
        .call(&[b"SET".as_slice(), b"k", b"a\"\n\x01"]);
    fixture.run("CONFIG GET x");
    assert_eq!(
        recorder.take(),
        [r#"1700000000.000000 [0 0.0.0.0:0] "SET" "k" "a\"\n\x01""#]
    );
    drop(monitor);
    fixture.run("PING");
    assert!(recorder.take().is_empty());
}

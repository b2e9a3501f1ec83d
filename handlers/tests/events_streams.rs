//! Streams: grants that end, slow readers, messages that never came.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use restis::{
    Redis,
    events::{Environment, Event, Events, EventsConfig, GrantKeys},
    prelude::*,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app, auth::ServiceTokens};
use serde_json::json;
use std::time::Duration;
use support::calls::{Stream, get, post, send};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

fn config() -> Config {
    let secret = "the grant secret of the stream tests";
    Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        grant_keys: Some(GrantKeys::new([secret], Environment::Development).unwrap()),
        ..Config::default()
    }
}

/// The router, its events, and its client, over one engine in this process.
fn parts(config: Config) -> (axum::Router, Events, Redis) {
    let redis = Redis::embedded(Engine::new(Options::default()));
    let events = Events::new(redis.clone(), Environment::Development).config(config.events);
    let state = AppState::builder(redis.clone()).config(config);
    (app(state.build().unwrap()), events, redis)
}

#[tokio::test]
async fn a_stream_ends_when_its_grant_does() {
    let (router, _, _) = parts(config());
    let ask = json!({ "types": ["a"], "ttl_seconds": 1 });
    let (_, body) = send(&router, post("/api/events/grants", "ROOT"), ask).await;
    let grant = body["grant"].as_str().unwrap();
    let mut stream = Stream::open(&router, get("/api/events/stream", grant)).await;
    assert_eq!(stream.next().await.unwrap().event, "ready");
    let bye = stream.next().await.unwrap();
    assert_eq!(
        (bye.event.as_str(), bye.data),
        ("bye", json!({ "reason": "expired" }))
    );
    assert_eq!(stream.next().await, None);
    let (response, _) = send(&router, get("/api/events/stream", grant), json!(null)).await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn hints_reach_services_that_ask_for_them_and_nobody_else() {
    let (router, _, redis) = parts(config());
    let ask = json!({ "types": ["*"], "ttl_seconds": 1 });
    let (_, body) = send(&router, post("/api/events/grants", "ROOT"), ask).await;
    let grant = body["grant"].as_str().unwrap();
    let open = async |uri: &str, token: &str| {
        let mut stream = Stream::open(&router, get(uri, token)).await;
        stream.find("ready").await;
        stream
    };
    let mut service = open("/api/events/stream?type=coordination", "ROOT").await;
    // A grant for every type is not one for hints: its stream has nothing until it ends.
    let mut ended = open("/api/events/stream?type=coordination", grant).await;
    let mut plain = open("/api/events/stream", "ROOT").await;
    let asked = || redis.metrics().snapshot().batched_commands;
    let before = asked();
    let hint = json!({ "changed": "prices" });
    let (response, body) = send(
        &router,
        post("/api/events/coordination", "ROOT"),
        hint.clone(),
    )
    .await;
    assert_eq!(
        (response.status().as_u16(), &body["processes"]),
        (202, &json!(1))
    );
    assert_eq!(service.next().await.unwrap().data, hint);
    assert_eq!(asked() - before, 1, "a hint makes nobody read the history");
    let event = json!({ "type": "a" });
    send(&router, post("/api/events/publish", "ROOT"), event).await;
    assert_eq!(
        plain.next().await.unwrap().event,
        "a",
        "the hint did not come here"
    );
    assert_eq!(ended.next().await.unwrap().event, "bye");
    let large = json!("x".repeat(9000));
    let (response, _) = send(&router, post("/api/events/coordination", "ROOT"), large).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_long_poll_reads_again_only_for_what_it_wants() {
    let (router, events, redis) = parts(config());
    let publish = async |kind: &str| {
        let event = Event::new(kind, "/", json!(1)).unwrap();
        events.publish(&event).await.unwrap()
    };
    let start = publish("a").await.cursor;
    let uri = format!("/api/events/poll?after={start}&type=wanted");
    let scripts = || {
        let commands = redis.metrics().snapshot().commands;
        commands.get("EVALSHA").map_or(0, |c| c.count)
    };
    let before = scripts();
    let poll = tokio::spawn({
        let router = router.clone();
        async move { send(&router, get(&uri, "ROOT"), json!(null)).await }
    });
    while scripts() == before {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        publish("other").await;
    }
    publish("wanted").await;
    let (_, page) = poll.await.unwrap();
    assert_eq!(page["events"][0]["event"]["type"], "wanted");
    // 21 to publish, one reading before and one after; a signal may have come in between.
    assert!(scripts() - before <= 24, "{}", scripts() - before);
}

#[tokio::test(start_paused = true)]
async fn a_planned_end_is_announced_before_the_platforms_limit() {
    let (router, _, _) = parts(config());
    let start = tokio::time::Instant::now();
    let mut ends = Vec::new();
    for _ in 0..8 {
        let mut stream = Stream::open(&router, get("/api/events/stream", "ROOT")).await;
        ends.push(tokio::spawn(async move {
            let bye = stream.find("bye").await;
            assert_eq!(bye.data, json!({ "reason": "drain" }));
            start.elapsed()
        }));
    }
    let mut times = Vec::new();
    for end in ends {
        times.push(end.await.unwrap());
    }
    let range = Duration::from_secs(216)..=Duration::from_secs(241);
    assert!(times.iter().all(|time| range.contains(time)), "{times:?}");
    times.dedup();
    assert!(times.len() > 1, "all clients would come back at once");
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_message_never_came_is_found_by_one_check_for_all_clients() {
    let (router, events, redis) = parts(config());
    let first = Event::new("a", "/", json!(1)).unwrap();
    events.publish(&first).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = Stream::open(&router, get("/api/events/stream", "ROOT")).await;
        stream.find("ready").await;
        streams.push(stream);
    }
    // Stored, but the message was lost.
    let missed = Event::new("a", "/", json!(2)).unwrap();
    let body = serde_json::to_string(&missed).unwrap();
    let add = redis
        .command("XADD")
        .args(["events:development:history", "2-0", "d"]);
    add.arg(body).query::<String>().await.unwrap();
    let meta = "events:development:meta";
    redis.hset(meta, [("offset", "2")]).await.unwrap();
    let asked = || {
        let snapshot = redis.metrics().snapshot();
        snapshot.commands.get("HMGET").map_or(0, |c| c.count)
    };
    let before = asked();
    for mut stream in streams {
        assert_eq!(stream.find("a").await.data["data"], 2);
    }
    assert_eq!(asked() - before, 1, "one question for twenty clients");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_slow_reader_costs_a_page_not_the_history() {
    const SLOW: usize = 40;
    let config = Config {
        events: EventsConfig {
            max_events: 50,
            ..EventsConfig::default()
        },
        ..config()
    };
    let (router, events, _) = parts(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request =
            "GET /api/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ROOT\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut client, "event: ready").await;
        slow.push(client);
    }
    let large = json!("x".repeat(50_000));
    let before = resident_bytes();
    for _ in 0..500 {
        let event = Event::new("a", "/", large.clone()).unwrap();
        events.publish(&event).await.unwrap();
        // The server gets its turn.
        tokio::task::yield_now().await;
    }
    // 25 MB for each of them if all were kept; a page, a socket's buffer and the shared backlog are.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 300 << 20, "{} MB", grown >> 20);
    // Who was too slow is told.
    read_until(&mut slow[0], "\"reason\":\"trimmed\"").await;
    server.abort();
}

async fn read_until(client: &mut TcpStream, wanted: &str) {
    let (mut tail, mut buffer) = (String::new(), vec![0; 1 << 16]);
    while !tail.contains(wanted) {
        let read = tokio::time::timeout(Duration::from_secs(60), client.read(&mut buffer));
        let n = read.await.unwrap().unwrap();
        assert!(n > 0, "the stream ended");
        let kept = tail.len().saturating_sub(wanted.len());
        tail.drain(..kept);
        tail.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
}

#[tokio::test]
async fn a_process_that_ends_says_goodbye_to_its_streams() {
    let (router, _, _) = parts(config());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(restis_handlers::serve(listener, router, async {
        stopped.await.unwrap();
    }));
    let ask = "GET /api/events/stream HTTP/1.1\r\nhost: here\r\nauthorization: Bearer ROOT\r\n\r\n";
    client.write_all(ask.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("event: ready") {
        assert!(client.read_buf(&mut heard).await.unwrap() > 0);
    }
    stop.send(()).unwrap();
    // The whole answer: its last chunk is there too.
    client.read_to_end(&mut heard).await.unwrap();
    let heard = String::from_utf8(heard).unwrap();
    let bye = heard
        .split_once("event: bye\ndata: {\"reason\":\"drain\"}\nretry: ")
        .unwrap()
        .1;
    let again: u64 = bye.split_once('\n').unwrap().0.parse().unwrap();
    assert!(
        (1000..=5000).contains(&again) && heard.ends_with("0\r\n\r\n"),
        "{heard}"
    );
    served.await.unwrap().unwrap();
}

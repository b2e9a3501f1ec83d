//! `restis-bench events`: publishing, live delivery and catching up against `@upstash/realtime`.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use restis::events::{Cursor, Environment, Event, Events, EventsConfig, HistoryQuery};
use restis::pubsub::{self, Subscription};
use restis::{Error, Redis};
use serde_json::json;

use crate::args::Common;
use crate::contest::{Side, contest, say};
use crate::failure::Failure;
use crate::javascript::{latencies, peers, sides};
use crate::store::{Store, TOKEN};

const SCRIPT: &str = include_str!("events.cjs");
const PEER: &str = "@upstash/realtime";
/// As long as an event of an application may be.
const TEXT: &str = "a note of two hundred and some bytes, which is about what an event of an \
                    application carries: who did what to which thing, when, and a few more words \
                    that nobody reads but everybody sends";
const CONCURRENT: usize = 64;
const PAST: usize = 10_000;

pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let store = Store::start()?;
    let runtime = crate::runtime::event_loop()?;
    let redis = Redis::builder(store.url(), TOKEN).build().map_err(failed)?;
    let packages = ["@upstash/redis", "@upstash/realtime", "zod"];
    let script = SCRIPT.replace("process.env.BENCH_DATA", &json!(TEXT).to_string());
    let mut peers = peers(common, &packages, &script, store.url())?;
    for peer in &mut peers {
        peer.rate("ready", Duration::ZERO)?;
    }
    let events = |environment| {
        Events::new(redis.clone(), environment).config(EventsConfig {
            // Node-wise trimming keeps a few more: nothing of what is caught up with is trimmed.
            max_events: PAST as u64,
            ..EventsConfig::default()
        })
    };
    let all = events(Environment::Development);

    let mut side = vec![Side::new("restis", |time| {
        runtime.block_on(publish(&all, CONCURRENT, time))
    })];
    side.extend(sides(&mut peers, PEER, "concurrent", 1.0, 1.0));
    contest(
        "64 concurrent events, stored and announced",
        common.seconds,
        side,
    )?;

    let mut side = vec![Side::new("restis", |time| {
        runtime.block_on(publish(&all, 1, time))
    })];
    side.extend(sides(&mut peers, PEER, "sequential", 1.0, 1.0));
    contest("one event after another", common.seconds, side)?;

    let before = redis.metrics().snapshot();
    for _ in 0..100 {
        runtime.block_on(one(&all))?;
    }
    let after = redis.metrics().snapshot();
    say("\nfor one event\n")?;
    let line = |name: &str, requests: f64, commands: f64| {
        say(&format!(
            "  {name:<34}{requests:>6.2} HTTP requests   {commands:>6.2} commands\n"
        ))
    };
    line(
        "restis",
        (after.requests - before.requests) as f64 / 100.0,
        (after.batched_commands - before.batched_commands) as f64 / 100.0,
    )?;
    for peer in &mut peers {
        let requests = peer.rate("requests", Duration::ZERO)?;
        let commands = peer.rate("commands", Duration::ZERO)?;
        line(peer.name(), requests, commands)?;
    }

    let heard = events(Environment::Staging);
    let times = RefCell::default();
    let subscription = RefCell::new(redis.psubscribe([heard.live_pattern()]));
    runtime.block_on(subscribed(&mut subscription.borrow_mut()))?;
    let mut side = vec![Side::new("restis", |time| {
        runtime.block_on(live(&heard, &mut subscription.borrow_mut(), time, &times))
    })];
    side.extend(sides(&mut peers, PEER, "live", 1.0, 1.0));
    contest("published until heard", common.seconds, side)?;
    latencies(&mut times.into_inner(), &mut peers)?;

    let past = events(Environment::Production);
    let start = runtime.block_on(fill(&past))?;
    let mut side = vec![Side::new("restis", |time| {
        runtime.block_on(catch_up(&past, &start, time))
    })];
    side.extend(sides(&mut peers, PEER, "catchup", 1.0, 1.0));
    contest(
        "events caught up with, of 10,000 missed",
        common.seconds,
        side,
    )?;

    crate::fanout::run(&redis)
}

pub(crate) fn failed(error: Error) -> Failure {
    Failure::new(format!("events failed: {error}"))
}

fn event() -> Result<Event, Failure> {
    Event::new("note.added", "/bench", json!({ "text": TEXT })).map_err(failed)
}

async fn one(events: &Events) -> Result<Cursor, Failure> {
    let published = events.publish(&event()?).await.map_err(failed)?;
    Ok(published.cursor)
}

async fn publish(events: &Events, at_once: usize, time: Duration) -> Result<f64, Failure> {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        for published in join_all((0..at_once).map(|_| one(events))).await {
            published?;
        }
        done += at_once;
        let passed = start.elapsed();
        if passed >= time {
            return Ok(done as f64 / passed.as_secs_f64());
        }
    }
}

async fn subscribed(subscription: &mut Subscription) -> Result<(), Failure> {
    match subscription.next().await {
        Some(Ok(pubsub::SubscriptionEvent::Subscribed { .. })) => Ok(()),
        other => Err(Failure::new(format!("no subscription: {other:?}"))),
    }
}

/// Publishes and waits until it is heard; keeps how long each took.
async fn live(
    events: &Events,
    subscription: &mut Subscription,
    time: Duration,
    times: &RefCell<Vec<Duration>>,
) -> Result<f64, Failure> {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        let published = Instant::now();
        let cursor = one(events).await?;
        let message = subscription.message().await.transpose().map_err(failed)?;
        let heard = message.map(|m| restis::events::Stored::from_announcement(&m.payload));
        let heard = heard.transpose().map_err(failed)?;
        if heard.is_none_or(|stored| stored.cursor != cursor) {
            return Err(Failure::new("another event was heard"));
        }
        times.borrow_mut().push(published.elapsed());
        done += 1;
        let passed = start.elapsed();
        if passed >= time {
            return Ok(f64::from(done) / passed.as_secs_f64());
        }
    }
}

/// Stores what will be missed; gives the place before it.
async fn fill(events: &Events) -> Result<Cursor, Failure> {
    let before = one(events).await?;
    for _ in 0..PAST / 100 {
        let batch = (0..100).map(|_| event()).collect::<Result<Vec<_>, _>>()?;
        let batch: Vec<_> = batch.iter().map(|event| (event, None)).collect();
        events.publish_batch(&batch).await.map_err(failed)?;
    }
    Ok(before)
}

async fn catch_up(events: &Events, from: &Cursor, time: Duration) -> Result<f64, Failure> {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        let (mut place, mut read) = (from.clone(), 0);
        loop {
            let query = HistoryQuery::new().after(place).limit(500);
            let page = events.history(&query).await.map_err(failed)?;
            read += page.events.len();
            place = page.cursor;
            if !page.has_more {
                break;
            }
        }
        if read != PAST {
            return Err(Failure::new(format!("{read} events were read")));
        }
        done += read;
        let passed = start.elapsed();
        if passed >= time {
            return Ok(done as f64 / passed.as_secs_f64());
        }
    }
}

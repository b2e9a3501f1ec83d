//! What the database does: the token, commands, scripts, messages, memory, time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use restis::commands::SetOptions;
use restis::pubsub::{Subscription, SubscriptionEvent};
use restis::{Error, ErrorKind, Script, prelude::*};
use serde_json::json;
use tokio::time::timeout;

use super::diagnose;
use super::report::{Class, Outcome};

/// Keys of a check live no longer, should it be killed.
pub(super) const TTL: Duration = Duration::from_secs(60);
/// A message must arrive within this time.
const DELIVERY: Duration = Duration::from_secs(5);

/// The token is accepted, and nothing limits the account.
pub(super) async fn token(redis: &Redis) -> Outcome {
    match redis.ping().await {
        Ok(_) => Outcome::passed("the token is accepted"),
        Err(error) => diagnose::outcome(&error),
    }
}

/// A key is written, read, given a TTL and deleted.
pub(super) async fn commands(redis: &Redis, prefix: &str) -> Outcome {
    async fn run(redis: &Redis, key: &str) -> Result<Option<&'static str>, Error> {
        // Every byte must survive.
        let value: Vec<u8> = (0..=255).collect();
        redis
            .set_with(key, &value, SetOptions::new().ex(TTL))
            .await?;
        let read: Option<Vec<u8>> = redis.get(key).await?;
        if read.as_ref() != Some(&value) {
            return Ok(Some("GET answers another value than SET wrote"));
        }
        redis.pexpire(key, 30_000).await?;
        if !(1..=30_000).contains(&redis.pttl(key).await?) {
            return Ok(Some("PTTL does not answer the time that PEXPIRE set"));
        }
        redis.del([key]).await?;
        let gone: Option<Vec<u8>> = redis.get(key).await?;
        Ok(gone.map(|_| "the key is there after DEL"))
    }
    match run(redis, &format!("{prefix}value")).await {
        Ok(None) => Outcome::passed("SET, GET, PEXPIRE, PTTL and DEL do what they say"),
        Ok(Some(problem)) => Outcome::failed(
            problem,
            "is there a cache or a proxy between? Reads must see what was written before",
        ),
        Err(error) => diagnose::outcome(&error),
    }
}

/// Scripts run, by text and by digest.
pub(super) async fn scripts(redis: &Redis, prefix: &str) -> Outcome {
    static SCRIPT: Script = Script::new(
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
         local value = redis.call('GET', KEYS[1])
         redis.call('DEL', KEYS[1])
         return value",
    );
    let key = format!("{prefix}script");
    for word in ["first", "second"] {
        let ran: Result<String, Error> = SCRIPT.key(&key).arg(word).run(redis).await;
        match ran {
            Ok(value) if value == word => {}
            Ok(_) => {
                return Outcome::failed("a script answers another value", "look at the server");
            }
            Err(error) => return diagnose::outcome(&error),
        }
    }
    Outcome::passed("EVAL and EVALSHA run; limits, sessions and events need them")
}

/// Messages arrive by channel and by pattern.
pub(super) async fn messages(redis: &Redis, prefix: &str) -> Outcome {
    let channel = format!("{prefix}channel");
    let ways = [
        ("channel", redis.subscribe([channel.clone()])),
        ("pattern", redis.psubscribe([format!("{channel}*")])),
    ];
    for (way, subscription) in ways {
        match timeout(DELIVERY, round(redis, subscription, &channel)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return diagnose::outcome(&error),
            Err(_) => {
                return Outcome::failed(
                    format!("no message by {way} in {DELIVERY:?}"),
                    "a proxy in between may hold answers back until they end: event streams must \
                     not be buffered or compressed",
                );
            }
        }
    }
    Outcome::passed("messages arrive by channel and by pattern")
}

async fn round(redis: &Redis, mut subscription: Subscription, channel: &str) -> Result<(), Error> {
    while let Some(event) = subscription.next().await {
        match event? {
            SubscriptionEvent::Subscribed { .. } => {
                redis.publish(channel, "hello").await?;
            }
            SubscriptionEvent::Message(message) if message.payload == "hello" => return Ok(()),
            SubscriptionEvent::Lost(error) => return Err(error),
            _ => {}
        }
    }
    Err(Error::new(
        ErrorKind::Interrupted,
        restis::Delivery::Executed,
        "the stream of messages ended",
    ))
}

/// The clocks of this machine and of the database.
pub(super) async fn clock(redis: &Redis) -> Outcome {
    let before = now();
    let start = Instant::now();
    let (seconds, micros) = match redis.time().await {
        Ok(time) => time,
        Err(error) => return diagnose::outcome(&error),
    };
    let half = start.elapsed() / 2;
    let theirs = Duration::from_secs(seconds) + Duration::from_micros(micros.into());
    let ours = before + half;
    let skew = theirs.abs_diff(ours);
    // What the way there and back may hide.
    let certain = skew.saturating_sub(half);
    let side = if theirs > ours { "ahead" } else { "behind" };
    let detail = format!("the database's clock is {:.3} s {side}", skew.as_secs_f64());
    let remedy = "set both clocks by NTP; windows and expiries are off by as much. A policy with \
                  `\"clock\": \"server\"` counts by the database's clock alone";
    let mut outcome = match certain {
        certain if certain > Duration::from_secs(5) => Outcome::failed(detail, remedy),
        certain if certain > Duration::from_secs(1) => Outcome::warning(detail, remedy),
        _ => Outcome::passed(detail),
    };
    outcome.data = json!({ "skew_s": theirs.as_secs_f64() - ours.as_secs_f64() });
    outcome
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// What `INFO` tells, by name.
#[derive(Debug)]
pub(super) struct Facts(Vec<(String, String)>);

impl Facts {
    pub(super) async fn read(redis: &Redis) -> Result<Self, Error> {
        let info = redis.info().await?;
        let sections = info.sections().map(|section| info.fields(section));
        let fields = sections.flatten();
        Ok(Self(
            fields.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        ))
    }

    fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

/// Whether the store may drop keys that are still needed.
pub(super) fn eviction(facts: &Facts, configured: Option<&str>) -> Outcome {
    let Some(policy) = facts.text("maxmemory_policy").or(configured) else {
        return Outcome::skipped(
            "the database does not tell; at the provider eviction must be off",
        );
    };
    match policy {
        "noeviction" => Outcome::passed("noeviction: no key is dropped before its time"),
        policy => Outcome::failed(
            format!(
                "the policy is {policy}: sessions, limits and events may vanish when memory runs out"
            ),
            "set maxmemory-policy to noeviction (`CONFIG SET maxmemory-policy noeviction`, or \
             eviction off at the provider); a cache belongs into a database of its own, with \
             CACHE_EVICTS=true",
        ),
    }
}

/// How full the memory is.
pub(super) fn memory(facts: &Facts) -> Outcome {
    let Some(used) = facts.number("used_memory") else {
        return Outcome::skipped("the database does not tell");
    };
    let most = facts.number("maxmemory").filter(|most| *most > 0);
    let Some(most) = most else {
        return Outcome::passed(format!("{} used, no limit set", size(used)));
    };
    let percent = used.saturating_mul(100) / most;
    let detail = format!("{} of {} used, {percent} %", size(used), size(most));
    let remedy = "give every key a TTL, look for the largest with `restis keys --big`, store \
                  hashes instead of many strings, or scale up";
    match percent {
        91.. => Outcome::failed(detail, remedy).class(Class::Limited),
        81..=90 => Outcome::warning(detail, remedy),
        _ => Outcome::passed(detail),
    }
}

/// How many reads find their key.
pub(super) fn hit_rate(facts: &Facts) -> Outcome {
    let counts = (
        facts.number("keyspace_hits"),
        facts.number("keyspace_misses"),
    );
    let (Some(hits), Some(misses)) = counts else {
        return Outcome::skipped("the database does not tell");
    };
    // A few reads of a new database say nothing.
    if hits + misses < 1000 {
        return Outcome::skipped("fewer than 1000 reads so far");
    }
    let percent = hits * 100 / (hits + misses);
    let detail = format!("{percent} % of the reads find their key");
    match percent {
        0..70 => Outcome::warning(
            detail,
            "lifetimes may be too short, keys may be evicted, or readers and writers name their \
             keys differently",
        ),
        _ => Outcome::passed(detail),
    }
}

/// How many connections are left.
pub(super) fn clients(facts: &Facts) -> Outcome {
    let counts = (
        facts.number("connected_clients"),
        facts.number("maxclients"),
    );
    let (Some(now), Some(most)) = counts else {
        return Outcome::skipped("the database does not tell");
    };
    let detail = format!("{now} of {most} connections");
    match now.saturating_mul(10) >= most.saturating_mul(9) {
        true => Outcome::failed(
            detail,
            "too many connections: share clients, close what is idle, raise maxclients",
        )
        .class(Class::Limited),
        false => Outcome::passed(detail),
    }
}

/// The version, and where the data is.
pub(super) fn version(facts: &Facts) -> Outcome {
    let version = facts
        .text("upstash_version")
        .map(|v| format!("Upstash {v}, "));
    let version = version.unwrap_or_default();
    let redis = facts.text("redis_version").unwrap_or("unknown");
    Outcome::passed(format!("{version}Redis {redis}"))
}

fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    for (unit, size) in [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)] {
        if bytes >= size {
            return format!("{:.1} {unit}", bytes / size);
        }
    }
    format!("{bytes} bytes")
}

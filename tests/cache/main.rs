//! The cache against the embedded engine and a real Redis.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod cluster;
mod hostile;
mod invalidation;
mod keys;
mod lifetimes;
mod loads;
mod model;
#[path = "../support/mod.rs"]
mod support;
mod tiers;

use restis::{
    Redis,
    cache::{Cache, CacheConfig, Cached, Keyspace, LoadError, Tag},
    prelude::*,
    testing::ManualClock,
    transport::embedded::EmbeddedTransport,
};
use restis_engine::{Engine, Options};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use support::{Counts, counting_over, local_redis::LocalRedis};

const SECOND: Duration = Duration::from_secs(1);
const NOON: u64 = 1_767_268_800_000;

type ReportKey = (String, String, String);
const REPORTS: Keyspace<ReportKey, String> = Keyspace::new("reports:{orgId}:{propertyId}:{date}")
    .tag("org:{orgId}")
    .tag("prop:{orgId}:{propertyId}")
    .fresh_for(Duration::from_secs(60));
const ORGANISATION: Tag<(String,)> = Tag::new("org:{orgId}");
const PROPERTY: Tag<(String, String)> = Tag::new("prop:{orgId}:{propertyId}");

fn report(organisation: &str, property: &str) -> restis::cache::Key<String> {
    REPORTS.key((organisation, property, "2026-01-31"))
}

/// A store, and a clock that it shares with its caches where it is the engine.
struct World {
    redis: Redis,
    counts: Counts,
    clock: ManualClock,
    /// Time of the engine.
    millis: Arc<AtomicU64>,
    server: Option<LocalRedis>,
}

impl World {
    fn engine() -> Self {
        let millis = Arc::new(AtomicU64::new(NOON));
        let mut options = Options::default();
        options.clock = restis_engine::Clock::manual(Arc::clone(&millis));
        let (redis, counts) = counting_over(EmbeddedTransport::new(Engine::new(options)));
        Self {
            redis,
            counts,
            clock: ManualClock::new(NOON),
            millis,
            server: None,
        }
    }

    fn redis() -> Option<Self> {
        let server = LocalRedis::start()?;
        let (redis, counts) = counting_over(server.transport());
        Some(Self {
            redis,
            counts,
            clock: ManualClock::new(NOON),
            millis: Arc::default(),
            server: Some(server),
        })
    }

    /// The engine, and a real Redis where there is one.
    fn all() -> impl Iterator<Item = Self> {
        [Some(Self::engine()), Self::redis()].into_iter().flatten()
    }

    fn cache(&self) -> Cache {
        self.cache_with(|_| {})
    }

    /// A cache without early refresh, so that time alone decides.
    fn cache_with(&self, change: impl FnOnce(&mut CacheConfig)) -> Cache {
        let mut config = CacheConfig::new();
        config.early_refresh = 0.0;
        change(&mut config);
        let builder = Cache::builder(self.redis.clone(), config);
        builder.clock(self.clock.clone()).build().unwrap()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        let ms = u64::try_from(by.as_millis()).unwrap();
        self.millis.fetch_add(ms, Ordering::SeqCst);
    }

    fn counter(&self, name: &str) -> u64 {
        let counters = self.redis.metrics().snapshot().counters;
        counters.get(name).copied().unwrap_or_default()
    }
}

fn value<V: Clone>(cached: Option<Cached<V>>) -> Option<V> {
    cached.map(Cached::into_value)
}

type Answer<V> = Result<Cached<V>, LoadError>;

/// A loader that returns a text.
async fn load(cache: &Cache, key: &restis::cache::Key<String>, text: &str) -> Answer<String> {
    let text = text.to_owned();
    cache
        .get_or_load(key, |_| async { Ok::<_, restis::Error>(text) })
        .await
}

/// A loader that must not run.
async fn cached_only(cache: &Cache, key: &restis::cache::Key<String>) -> String {
    let refused = cache.get_or_load(key, |_| async { Err::<String, _>("the loader ran") });
    refused.await.expect("cached").into_value()
}

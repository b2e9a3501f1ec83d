//! A circuit breaker for one endpoint, shared by all processes.
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Event, Events};
use crate::{Redis, identity::join};

script_call! {
    Breaker<'a> = "lua/own.lua" "lua/breaker.lua".key_locking()
    keys { circuit_key }
    args {
        word: &'a str, failures: u32, open_ms: u64, most_open_ms: u64, ttl_ms: u64,
        event: &'a str,
    }
}

const FAILURES: u32 = 5;
const OPEN: Duration = Duration::from_secs(10);
const MOST_OPEN: Duration = Duration::from_secs(600);
const TTL: Duration = Duration::from_secs(86_400);

/// Opens after 5 different events failed in a row, for 10 s that double to 10 min; then lets one
/// probe through. An event that is refused again and again is that event's failure.
///
/// Without the store it is closed: it protects endpoints, not us.
#[derive(Debug, Clone)]
pub struct EndpointBreaker {
    redis: Redis,
    key: String,
}

impl Events {
    /// The breaker of an endpoint, by its URL or any other name.
    pub fn endpoint_breaker(&self, endpoint: &str) -> EndpointBreaker {
        // The name may hold a secret path: only its hash becomes a key.
        let digest = hex::encode(&Sha256::digest(endpoint)[..12]);
        EndpointBreaker {
            redis: self.redis.clone(),
            key: self.keys.breaker(&digest),
        }
    }
}

impl EndpointBreaker {
    async fn run(&self, word: &str, event: &str) -> u64 {
        let call = Breaker {
            circuit_key: &self.key,
            word,
            failures: FAILURES,
            open_ms: OPEN.as_millis() as u64,
            most_open_ms: MOST_OPEN.as_millis() as u64,
            ttl_ms: TTL.as_millis() as u64,
            event,
        };
        let answer = call.call().run::<u64>(&self.redis).await;
        answer.unwrap_or_else(|error| {
            tracing::debug!(%error, "endpoint breaker without its store");
            0
        })
    }

    /// How long to wait before the endpoint may be tried; `None` now.
    pub async fn ask(&self) -> Option<Duration> {
        let ms = self.run("ask", "").await;
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Tells how a try with an event ended.
    pub async fn tell(&self, event: &Event, ok: bool) {
        let event = hex::encode(&Sha256::digest(join([&event.source, &event.id]))[..12]);
        self.run(if ok { "ok" } else { "failed" }, &event).await;
    }
}

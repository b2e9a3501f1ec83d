//! Sessions against the embedded engine and a real Redis.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod change;
mod connect;
mod create;
mod keys;
mod model;
mod races;
mod requests;
mod revoke;
mod rotate;
mod security;
#[path = "../support/mod.rs"]
mod support;

use restis::{
    Clock, Redis, SystemClock,
    session::{
        Creation, EventKind, Loaded, NewSession, Rotated, Rotation, Secrets, Session,
        SessionConfig, SessionEvent, SessionListener, Sessions,
    },
    testing::ManualClock,
};
use std::sync::{Arc, Mutex};

/// Remembers what happened.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<SessionEvent>>>);

impl SessionListener for Heard {
    fn on_event(&self, event: &SessionEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    fn kinds(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().iter().map(|e| e.kind).collect()
    }
}

/// Sessions on a backend, with a clock that stands still.
struct World {
    redis: Redis,
    sessions: Sessions,
    clock: ManualClock,
    heard: Heard,
}

fn secrets() -> Secrets {
    Secrets::new(["0123456789abcdef0123456789abcdef"]).unwrap()
}

fn config() -> SessionConfig {
    SessionConfig::new(secrets())
}

impl World {
    fn new(redis: &Redis, config: SessionConfig) -> Self {
        let clock = ManualClock::new(SystemClock::new().now_ms());
        let heard = Heard::default();
        let sessions = Sessions::builder(redis.clone(), config)
            .clock(clock.clone())
            .listener(heard.clone())
            .build()
            .unwrap();
        Self {
            redis: redis.clone(),
            sessions,
            clock,
            heard,
        }
    }

    async fn login(&self, user: &str) -> Session {
        created(
            self.sessions
                .create(NewSession::user(user).authenticated_by(["pwd"]))
                .await
                .unwrap(),
        )
    }

    async fn load(&self, session: &Session) -> Loaded {
        self.sessions.load(session.token()).await.unwrap()
    }

    /// The session under its new identifier.
    async fn rotated(&self, session: &Session, rotation: &Rotation) -> Session {
        match self.sessions.rotate(session, rotation).await.unwrap() {
            Rotated::Done(session) => session,
            other => panic!("{other:?}"),
        }
    }

    async fn is_live(&self, session: &Session) -> bool {
        self.load(session).await.session().is_some()
    }

    async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.redis.command("KEYS").arg("*").query().await.unwrap();
        keys.sort();
        keys
    }

    /// No key without a TTL.
    async fn assert_ttls(&self) {
        for key in self.keys().await {
            let ttl: i64 = self.redis.command("PTTL").arg(&key).query().await.unwrap();
            assert!(ttl > 0, "{key} has PTTL {ttl}");
        }
    }

    async fn index(&self, user: &str) -> Vec<String> {
        let key = format!("user:{user}:sessions");
        self.redis
            .command("ZRANGE")
            .arg(key)
            .arg(0)
            .arg(-1)
            .query()
            .await
            .unwrap()
    }
}

fn created(creation: Creation) -> Session {
    match creation {
        Creation::Created(session) => session,
        other => panic!("{other:?}"),
    }
}

/// Runs a scenario on every backend, each empty.
macro_rules! on_every_backend {
    ($($name:ident: $config:expr;)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "some configurations name types")]
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                let Some(server) = crate::support::local_redis::LocalRedis::start() else { return };
                super::$name(crate::World::new(&server.client(), $config)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn engine() {
                super::$name(crate::World::new(&crate::support::engine(), $config)).await;
            }
        }
    )+};
}
use on_every_backend;

//! The harness that all tests of the root package share.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "every test binary uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

pub mod faults;
#[cfg(unix)]
pub mod local_redis;
#[cfg(unix)]
pub mod servers;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use restis::{
    Redis, Result,
    transport::{
        BoxFuture, Exchange, Mode, Transport, TransportResponse, embedded::EmbeddedTransport,
    },
};
use restis_engine::{Engine, Options};

/// A client over an empty embedded store.
pub fn engine() -> Redis {
    Redis::embedded(Engine::new(Options::default()))
}

/// A client over an empty embedded store that counts what it sends.
pub fn counting() -> (Redis, Counts) {
    counting_over(EmbeddedTransport::new(Engine::new(Options::default())))
}

/// A client over any transport that counts what it sends.
pub fn counting_over(inner: impl Transport) -> (Redis, Counts) {
    let counts = Counts::default();
    let transport = Counting {
        inner: Box::new(inner),
        counts: counts.clone(),
    };
    (Redis::with_transport(transport), counts)
}

/// What a counting transport has seen.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    requests: AtomicUsize,
    commands: AtomicUsize,
    transactions: AtomicUsize,
}

impl Counts {
    /// Requests so far: each is one HTTP round trip.
    pub fn requests(&self) -> usize {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// Commands so far.
    pub fn commands(&self) -> usize {
        self.0.commands.load(Ordering::SeqCst)
    }

    /// Transactions so far; they count as requests too.
    pub fn transactions(&self) -> usize {
        self.0.transactions.load(Ordering::SeqCst)
    }

    /// Starts again at zero.
    pub fn reset(&self) {
        self.0.requests.store(0, Ordering::SeqCst);
        self.0.commands.store(0, Ordering::SeqCst);
        self.0.transactions.store(0, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Counting {
    inner: Box<dyn Transport>,
    counts: Counts,
}

impl Transport for Counting {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        let counts = &self.counts.0;
        counts.requests.fetch_add(1, Ordering::SeqCst);
        counts
            .commands
            .fetch_add(exchange.commands.len(), Ordering::SeqCst);
        if exchange.mode == Mode::Transaction {
            counts.transactions.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.execute(exchange)
    }

    fn can_batch(&self, command: &restis::Args) -> bool {
        self.inner.can_batch(command)
    }

    fn sends_at_once(&self) -> bool {
        self.inner.sends_at_once()
    }
}

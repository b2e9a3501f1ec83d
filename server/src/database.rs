//! Databases, and who may use them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use restis_engine::Caller;
use tokio::sync::watch;

use crate::backend::Local;
use crate::backend::redis::RedisBackend;
use crate::metrics::{Gauge, Traffic};
use crate::resp::Pause;

/// One database and where it lives.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    /// Bytes of its requests that have begun and of its answers that are not taken yet.
    pub(crate) in_flight: AtomicUsize,
    /// Event streams of this database.
    pub(crate) streams: Gauge,
    pub(crate) traffic: Traffic,
    pub(crate) backend: Backend,
    /// What CLIENT PAUSE stops.
    pub(crate) pause: watch::Sender<Option<Pause>>,
}

impl Database {
    /// Whether both live in one Redis where nothing keeps them apart.
    pub(crate) fn is_open_to(&self, other: &Self) -> bool {
        match (&self.backend, &other.backend) {
            (Backend::Redis(one), Backend::Redis(other)) => one.is_open_to(other),
            _ => false,
        }
    }

    /// The embedded database, if it is one.
    pub(crate) fn local(&self) -> Option<&Local> {
        match &self.backend {
            Backend::Engine(local) => Some(local),
            Backend::Redis(_) => None,
        }
    }
}

/// Where the data of a database lives.
#[derive(Debug)]
pub(crate) enum Backend {
    /// In this process.
    Engine(Local),
    /// In a Redis server, cluster or sentinel group.
    Redis(Box<RedisBackend>),
}

/// What a token opens.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) database: Arc<Database>,
    pub(crate) caller: Caller,
}

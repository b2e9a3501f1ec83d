//! Databases, and who may use them.

use std::sync::Arc;

use restis_engine::{Caller, Engine};

use crate::backend::redis::RedisBackend;

/// One database and where it lives.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) backend: Backend,
}

/// Where the data of a database lives.
#[derive(Debug)]
pub(crate) enum Backend {
    /// In this process.
    Engine(Engine),
    /// In a Redis server, cluster or sentinel group.
    Redis(Box<RedisBackend>),
}

/// What a token opens.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) database: Arc<Database>,
    pub(crate) caller: Caller,
}

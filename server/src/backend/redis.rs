//! Databases that live in a Redis.

use std::fmt;

use bytes::Bytes;
use restis_engine::{Caller, Reply};

use super::{Frames, Guard, List, unavailable};
use crate::request::commands::{Args, Commands};
use crate::texts::Failure;

pub(crate) struct RedisBackend {}

impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisBackend")
    }
}

impl RedisBackend {
    pub(crate) fn new(_url: &str) -> Result<Self, String> {
        Err("not available in this build".to_owned())
    }

    pub(crate) async fn ping(&self) -> bool {
        false
    }

    pub(crate) async fn command(&self, _: &Caller, _: &[&[u8]]) -> Result<Reply, Failure> {
        Err(unavailable("ERR not available"))
    }

    pub(crate) async fn pipeline(
        &self,
        _: &Caller,
        _: &Commands<'_>,
        _: &mut List,
    ) -> Result<(), Failure> {
        Err(unavailable("ERR not available"))
    }

    pub(crate) async fn transaction(
        &self,
        _: &Caller,
        _: &[Args<'_>],
    ) -> Result<Vec<Reply>, Failure> {
        Err(unavailable("ERR not available"))
    }

    pub(crate) async fn subscribe(
        &self,
        _: Vec<Bytes>,
        _: Vec<Bytes>,
    ) -> Result<(Frames, Guard), Failure> {
        Err(unavailable("ERR not available"))
    }

    pub(crate) async fn monitor(&self) -> Result<(Frames, Guard), Failure> {
        Err(unavailable("ERR not available"))
    }
}

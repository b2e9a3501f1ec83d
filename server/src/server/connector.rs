//! Connections from within the process, without a socket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use restis_engine::{Dialect, Reply};
use tokio::io::DuplexStream;

use super::connection;
use crate::backend::{self, Guard};
use crate::fault::FaultPlan;
use crate::monitor::{MonitorFilter, MonitorStream, Sample};
use crate::rest::{Shared, StreamPermit};
use crate::sse::stopped;
use crate::texts::Failure;

/// Bytes that may be on their way in each direction.
const BUFFER: usize = 256 << 10;

/// Opens connections to a server from within its process.
#[derive(Clone, Debug)]
pub struct Connector(pub(super) Arc<Shared>);

impl Connector {
    /// Opens a connection that speaks HTTP/1.1 without TLS, whatever the server's address speaks.
    ///
    /// A task of the current Tokio runtime serves it. `None`: the server has no room for another
    /// connection.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn connect(&self) -> Option<DuplexStream> {
        let peer = self.0.peers.admit(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(connection::serve_in_process(
            theirs,
            peer,
            Arc::clone(&self.0),
        ));
        Some(ours)
    }

    /// Follows the commands of the database that a token opens, as many as a page can draw.
    ///
    /// # Errors
    /// Why the database does not show them.
    pub async fn monitor(
        &self,
        token: &str,
        filter: MonitorFilter,
    ) -> Result<MonitorStream, String> {
        let access = self.0.access(token.as_bytes());
        let access = access.ok_or("the token opens no database")?;
        let stop = stopped(self.0.stop.clone());
        let sample = Arc::new(Sample::new(filter));
        let opening = async {
            let permit = StreamPermit::new(&self.0, &access.database)?;
            let (frames, guard) = backend::sampled_monitor(&access, &sample).await?;
            Ok((frames, Box::new((guard, permit)) as Guard))
        };
        let (frames, guard) = opening
            .await
            .map_err(|failure: Failure| failure.line.into_owned())?;
        Ok(MonitorStream::new(sample, frames, stop, guard))
    }

    /// The newest slow commands of the database that a token opens, at most `most`.
    ///
    /// `None` where the database is not in this process: its own `SLOWLOG` tells.
    pub fn slow_log(&self, token: &str, most: usize) -> Option<Vec<SlowCommand>> {
        let access = self.0.access(token.as_bytes())?;
        let engine = access.database.local()?.engine();
        let engine = engine.with_dialect(Dialect::Redis);
        let most = most.to_string();
        let reply = engine.call_as(&access.caller, &["SLOWLOG", "GET", &most]);
        let Reply::Array(entries) = reply else {
            return Some(Vec::new());
        };
        Some(entries.into_iter().filter_map(SlowCommand::read).collect())
    }

    /// How far the clock is ahead of the machine's; `None` where nothing moves it, as that of a Redis.
    pub fn clock_ahead(&self) -> Option<Duration> {
        let mut databases = self.0.databases.iter();
        let has_clock = databases.any(|database| database.local().is_some());
        let control = self.0.control.as_ref().filter(|_| has_clock)?;
        Some(control.ahead())
    }

    /// The faults that the server injects now.
    pub fn faults(&self) -> FaultPlan {
        self.0.faults.plan()
    }

    /// Injects other faults into requests over REST from now on; [`FaultPlan::default`] injects none.
    ///
    /// While faults are injected, the `restis-fault` request header works, too.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.0.faults.replace(plan);
    }
}

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCommand {
    /// Its number in the log.
    pub id: i64,
    /// When it began, in unix seconds.
    pub at: i64,
    /// How long it took.
    pub micros: i64,
    /// Its name and the beginnings of its arguments.
    pub args: Vec<Bytes>,
}

impl SlowCommand {
    fn read(reply: Reply) -> Option<Self> {
        let Reply::Array(parts) = reply else {
            return None;
        };
        let mut parts = parts.into_iter();
        let mut number = || match parts.next()? {
            Reply::Int(number) => Some(number),
            _ => None,
        };
        let (id, at, micros) = (number()?, number()?, number()?);
        let Reply::Array(args) = parts.next()? else {
            return None;
        };
        let text = |arg| match arg {
            Reply::Bulk(bytes) => Some(bytes),
            _ => None,
        };
        let args = args.into_iter().filter_map(text).collect();
        Some(Self {
            id,
            at,
            micros,
            args,
        })
    }
}

//! Connections from within the process, without a socket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::io::DuplexStream;

use super::connection;
use crate::fault::FaultPlan;
use crate::rest::Shared;

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

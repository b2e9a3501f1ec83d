//! Who is at the other end of a connection, how many there are, and what strangers may hold.
//!
//! A stranger is a connection that has shown no valid token yet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Limits;

/// Bytes of a head that is not whole yet which count for nothing: every connection has a buffer.
const FREE_HEAD: usize = 8 << 10;
/// An address gets this part of all bytes of heads.
const ADDRESS_SHARE: usize = 4;

/// All connections, and what strangers among them hold, by address.
#[derive(Debug)]
pub(crate) struct Peers {
    connections: usize,
    head_bytes: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    connections: usize,
    head_bytes: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    connections: usize,
    head_bytes: usize,
}

impl Peers {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            connections: limits.connections,
            head_bytes: limits.heads_bytes,
            held: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection, unless strangers of its address hold as much as is left.
    ///
    /// One address cannot take all connections, and several leave room for others.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Peer> {
        let mut held = self.held();
        let left = self.connections.saturating_sub(held.connections);
        let holds = held.addresses.entry(address).or_default();
        if holds.connections >= left {
            held.forget_empty(address);
            return None;
        }
        holds.connections += 1;
        held.connections += 1;
        Some(Peer {
            peers: Arc::clone(self),
            address,
            stranger: AtomicBool::new(true),
            in_request: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
        })
    }

    /// Counts bytes of a head that is not whole; `false`: there is no room.
    fn take(&self, address: IpAddr, bytes: usize) -> bool {
        let mut held = self.held();
        let all = held.head_bytes + bytes;
        let holds = held.addresses.entry(address).or_default();
        if all > self.head_bytes || holds.head_bytes + bytes > self.head_bytes / ADDRESS_SHARE {
            held.forget_empty(address);
            return false;
        }
        holds.head_bytes += bytes;
        held.head_bytes = all;
        true
    }

    fn give_back(&self, address: IpAddr, connections: usize, head_bytes: usize) {
        let mut held = self.held();
        held.head_bytes -= head_bytes;
        if let Some(holds) = held.addresses.get_mut(&address) {
            holds.connections -= connections;
            holds.head_bytes -= head_bytes;
        }
        held.forget_empty(address);
    }
}

impl Held {
    fn forget_empty(&mut self, address: IpAddr) {
        let empty = |holds: &Address| holds.connections == 0 && holds.head_bytes == 0;
        if self.addresses.get(&address).is_some_and(empty) {
            self.addresses.remove(&address);
        }
    }
}

/// The other end of one connection.
#[derive(Debug)]
pub(crate) struct Peer {
    peers: Arc<Peers>,
    address: IpAddr,
    stranger: AtomicBool,
    in_request: AtomicBool,
    requests: AtomicUsize,
}

impl Peer {
    /// A request begins; it lasts until the guard drops.
    pub(crate) fn begin(self: &Arc<Self>) -> InRequest {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_request.store(true, Ordering::Relaxed);
        InRequest(Arc::clone(self))
    }

    /// The peer has shown a valid token.
    pub(crate) fn authorised(&self) {
        if self.stranger.swap(false, Ordering::Relaxed) {
            self.peers.give_back(self.address, 1, 0);
        }
    }

    pub(super) fn is_stranger(&self) -> bool {
        self.stranger.load(Ordering::Relaxed)
    }

    /// How many requests have begun.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn is_in_request(&self) -> bool {
        self.in_request.load(Ordering::Relaxed)
    }

    /// What the head that is being received takes.
    pub(super) fn head(self: &Arc<Self>) -> Head {
        Head {
            peer: Arc::clone(self),
            bytes: 0,
            counted: 0,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.authorised();
        self.peers.held().connections -= 1;
    }
}

/// Lives as long as a request and its answer.
#[derive(Debug)]
pub(crate) struct InRequest(Arc<Peer>);

impl Drop for InRequest {
    fn drop(&mut self) {
        self.0.in_request.store(false, Ordering::Relaxed);
    }
}

/// Bytes of a head that is not whole yet.
#[derive(Debug)]
pub(super) struct Head {
    peer: Arc<Peer>,
    bytes: usize,
    counted: usize,
}

impl Head {
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether there is room for what was read so far of a head that is not whole.
    pub(super) fn fits(&mut self) -> bool {
        let more = self.bytes.saturating_sub(FREE_HEAD + self.counted);
        if more > 0 {
            if !self.peer.peers.take(self.peer.address, more) {
                return false;
            }
            self.counted += more;
        }
        true
    }

    /// The head is whole.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        let counted = std::mem::take(&mut self.counted);
        if counted > 0 {
            self.peer.peers.give_back(self.peer.address, 0, counted);
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn peers(connections: usize, heads_bytes: usize) -> Arc<Peers> {
        Peers::new(&Limits {
            heads_bytes,
            connections,
            ..Limits::default()
        })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn an_address_never_holds_more_than_it_leaves() {
        let peers = peers(8, 0);
        let first: Vec<_> = (0..8).filter_map(|_| peers.admit(address(1))).collect();
        assert_eq!(first.len(), 4);
        let second = peers.admit(address(2));
        assert!(second.is_some());
        for peer in &first {
            peer.authorised();
        }
        assert!(peers.admit(address(1)).is_some());
        drop((first, second));
        assert_eq!(peers.held().connections, 0);
        assert!(peers.held().addresses.is_empty());
    }

    #[test]
    fn heads_share_what_there_is() {
        let peers = peers(9, 4000);
        let peer = |last| Arc::new(peers.admit(address(last)).unwrap());
        let (one, other) = (peer(1), peer(2));
        let mut head = one.head();
        head.add(FREE_HEAD + 1000);
        assert!(head.fits() && head.fits());
        let mut second = one.head();
        second.add(FREE_HEAD);
        assert!(second.fits());
        second.add(1);
        assert!(!second.fits());
        let mut third = other.head();
        third.add(FREE_HEAD + 1000);
        assert!(third.fits());
        drop(head);
        assert!(second.fits());
    }
}

//! Limits clients that present invalid session cookies.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

const WINDOW_MS: u64 = 60_000;
/// Clients that are remembered at once.
const MOST_CLIENTS: usize = 10_000;

/// Counts invalid cookies by client within this instance; asks nobody.
///
/// A good cookie is never refused, whoever else shares the address.
#[derive(Debug)]
pub(crate) struct Guesses {
    limit: u32,
    clients: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug)]
struct Window {
    began_ms: u64,
    guesses: u32,
}

impl Guesses {
    /// So many invalid cookies a minute; 0 = any number.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            clients: Mutex::default(),
        }
    }

    /// Notes one; how long the client has to wait if there were too many.
    ///
    /// Clients without an address are one: nobody guesses for free by hiding it.
    pub(crate) fn note(&self, client: Option<IpAddr>, now_ms: u64) -> Option<Duration> {
        let client = client.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        if self.limit == 0 {
            return None;
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST_CLIENTS {
            clients.retain(|_, window| now_ms < window.began_ms + WINDOW_MS);
            // Too many at once to tell them apart: memory stays bounded.
            if clients.len() >= MOST_CLIENTS {
                clients.clear();
            }
        }
        let fresh = || Window {
            began_ms: now_ms,
            guesses: 0,
        };
        let window = clients.entry(network(client)).or_insert_with(fresh);
        if now_ms >= window.began_ms + WINDOW_MS {
            *window = fresh();
        }
        window.guesses = window.guesses.saturating_add(1);
        let wait = (window.began_ms + WINDOW_MS).saturating_sub(now_ms);
        (window.guesses > self.limit).then(|| Duration::from_millis(wait))
    }
}

/// Whoever has an IPv6 address has its whole /64.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_client_has_its_own_number_a_minute() {
        let guesses = Guesses::new(2);
        let client = ip("192.0.2.1");
        assert_eq!(guesses.note(client, 0), None);
        assert_eq!(guesses.note(client, 20_000), None);
        let wait = guesses.note(client, 45_000).unwrap();
        assert_eq!(wait, Duration::from_secs(15));
        assert_eq!(guesses.note(ip("192.0.2.2"), 45_000), None);
        assert_eq!(guesses.note(client, 60_000), None);
        assert_eq!(Guesses::new(0).note(client, 0), None);
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let guesses = Guesses::new(1);
        assert_eq!(guesses.note(ip("2001:db8::1"), 0), None);
        assert!(guesses.note(ip("2001:db8::ffff:1"), 0).is_some());
        assert_eq!(guesses.note(ip("2001:db8:0:1::1"), 0), None);
        assert_eq!(guesses.note(ip("::ffff:192.0.2.1"), 0), None);
        assert!(guesses.note(ip("192.0.2.1"), 0).is_some());
    }

    #[test]
    fn clients_without_an_address_are_one() {
        let guesses = Guesses::new(1);
        assert_eq!(guesses.note(None, 0), None);
        assert!(guesses.note(None, 0).is_some());
        assert_eq!(guesses.note(ip("192.0.2.1"), 0), None);
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::new(1);
        for n in 0..3 * MOST_CLIENTS as u32 {
            guesses.note(Some(std::net::Ipv4Addr::from_bits(n).into()), 0);
        }
        assert!(guesses.clients.lock().unwrap().len() <= MOST_CLIENTS);
    }
}

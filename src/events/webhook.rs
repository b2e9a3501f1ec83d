//! Webhooks to others: signed, with a circuit breaker, never to private addresses.

use std::{net::IpAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    Event, WebhookClient, binary::header_id, breaker::EndpointBreaker, signature::WebhookKeys,
};
use crate::{
    Error, ErrorKind, Result,
    transport::{address, time},
};

const TIMEOUT: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Whether an address is one on the public internet, where webhooks may go.
pub fn is_public_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a == 192 && b == 0))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4() {
                return is_public_address(IpAddr::V4(v4));
            }
            let first = v6.segments()[0];
            // Global unicast only, without documentation, NAT64 and 6to4 forms of other addresses.
            first & 0xe000 == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && matches!(v6.segments()[1], 0 | 0x0db8))
        }
    }
}

/// Where a webhook goes.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: Url,
    keys: WebhookKeys,
    breaker: Option<EndpointBreaker>,
    private: bool,
    binary: bool,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookOutcome {
    /// Accepted.
    Delivered,
    /// Not now; the receiver may have asked for a pause.
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
        /// What happened, without the URL.
        why: String,
    },
    /// The receiver wants no more (410) or the address is not allowed.
    Gone(String),
}

impl Endpoint {
    /// An endpoint with its signing secrets; `https` only.
    ///
    /// # Errors
    /// `Config` for another URL.
    pub fn new(url: &str, keys: WebhookKeys) -> Result<Self> {
        let url =
            address::parse(url).ok_or_else(|| Error::config("a webhook needs an https URL"))?;
        if url.scheme() != "https" || !url.has_host() || !url.username().is_empty() {
            return Err(Error::config("a webhook needs an https URL without a user"));
        }
        Ok(Self {
            url,
            keys,
            breaker: None,
            private: false,
            binary: false,
        })
    }

    /// Allows `http` and private addresses, for an endpoint in your own network.
    ///
    /// # Errors
    /// `Config` when it is not a URL.
    pub fn private(url: &str, keys: WebhookKeys) -> Result<Self> {
        let url = address::parse(url).ok_or_else(|| Error::config("not a webhook URL"))?;
        Ok(Self {
            url,
            keys,
            breaker: None,
            private: true,
            binary: false,
        })
    }

    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Shares a circuit breaker among all processes.
    #[must_use]
    pub fn breaker(mut self, breaker: EndpointBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Sends events in the binary mode of CloudEvents: attributes as `ce-*` headers, the data alone
    /// as the body. Headers are not signed.
    #[must_use]
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// Delivers an event once: a signed POST of its JSON, or of its data in binary mode.
    /// `webhook-id` is the event's id, percent-encoded as the attributes of binary mode are, dots
    /// too; `traceparent` goes along.
    ///
    /// Redirects are not followed: one is a failure.
    pub async fn deliver(
        &self,
        client: &WebhookClient,
        event: &Event,
        now_s: u64,
    ) -> WebhookOutcome {
        if let Some(breaker) = &self.breaker
            && let Some(wait) = breaker.ask().await
        {
            return retry(Some(wait), "the endpoint's circuit is open");
        }
        if !self.private && !self.is_public().await {
            return WebhookOutcome::Gone("the address is not public".into());
        }
        let Ok((mut headers, body)) = self.message(event) else {
            return WebhookOutcome::Gone("the event cannot be written".into());
        };
        if self.sign(&mut headers, event, now_s, &body).is_none() {
            return WebhookOutcome::Gone("the event's id cannot be a header".into());
        }
        let posted = client.post(&self.url, self.private, &headers, &body);
        let outcome = match time::timeout(TIMEOUT, posted).await {
            Some(Ok((status, after))) => {
                judge(status.as_u16(), after.map(|a| a.min(LONGEST_PAUSE)))
            }
            Some(Err(error)) if error.kind() == ErrorKind::Connect => retry(None, "no connection"),
            Some(Err(_)) => retry(None, "the connection broke"),
            None => retry(None, "no answer in time"),
        };
        if let Some(breaker) = &self.breaker {
            breaker
                .tell(event, !matches!(outcome, WebhookOutcome::Retry { .. }))
                .await;
        }
        outcome
    }

    fn message(&self, event: &Event) -> Result<(HeaderMap, Vec<u8>)> {
        if self.binary {
            return event.to_binary();
        }
        let body = serde_json::to_vec(event)
            .map_err(|_| Error::invalid_input("the event cannot be written as JSON"))?;
        let kind = HeaderValue::from_static("application/cloudevents+json");
        Ok((HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]), body))
    }

    /// Adds who sends, when, and the trace; `None` if the event's id cannot be a header.
    fn sign(&self, headers: &mut HeaderMap, event: &Event, now_s: u64, body: &[u8]) -> Option<()> {
        let trace = event.extensions.get("traceparent").and_then(|t| t.as_str());
        if let Some(trace) = trace.and_then(|t| t.parse().ok()) {
            headers.insert("traceparent", trace);
        }
        let id = header_id(&event.id);
        let signature = self.keys.sign(&id, now_s, body);
        headers.insert("webhook-id", id.parse().ok()?);
        headers.insert("webhook-timestamp", now_s.into());
        headers.insert("webhook-signature", signature.parse().ok()?);
        if !self.url.username().is_empty() {
            // As it is written in the URL of a private endpoint.
            let password = self.url.password().unwrap_or_default();
            let user =
                [self.url.username(), password].map(|part| percent_decode_str(part).collect());
            headers.insert(header::AUTHORIZATION, basic(user).parse().ok()?);
        }
        Some(())
    }

    /// Every address that the name has must be public.
    async fn is_public(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Ipv4(ip)) => is_public_address(ip.into()),
            Some(url::Host::Ipv6(ip)) => is_public_address(ip.into()),
            Some(url::Host::Domain(name)) => {
                is_public_name(name, self.url.port_or_known_default().unwrap_or(443)).await
            }
            None => false,
        }
    }
}

#[cfg(not(target_family = "wasm"))]
async fn is_public_name(name: &str, port: u16) -> bool {
    use std::net::ToSocketAddrs as _;

    let name = name.to_owned();
    let found = tokio::task::spawn_blocking(move || (name, port).to_socket_addrs());
    match found.await {
        Ok(Ok(found)) => {
            let all: Vec<_> = found.collect();
            !all.is_empty() && all.iter().all(|a| is_public_address(a.ip()))
        }
        // Not resolved: the request itself fails and says so.
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

/// A JavaScript host resolves names itself: its network decides what they may reach.
#[cfg(target_family = "wasm")]
async fn is_public_name(name: &str, _: u16) -> bool {
    !(name == "localhost" || name.ends_with(".localhost"))
}

fn retry(after: Option<Duration>, why: &str) -> WebhookOutcome {
    WebhookOutcome::Retry {
        after,
        why: why.to_owned(),
    }
}

fn basic([user, password]: [Vec<u8>; 2]) -> String {
    let pair = [user, password].join(&b':');
    format!("Basic {}", STANDARD.encode(pair))
}

fn judge(status: u16, after: Option<Duration>) -> WebhookOutcome {
    match status {
        200..=299 => WebhookOutcome::Delivered,
        410 => WebhookOutcome::Gone("the receiver answered 410".into()),
        _ => retry(after, &format!("the receiver answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(is_public_address(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public_address(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn an_endpoint_is_https_without_a_user() {
        let keys = WebhookKeys::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        assert!(Endpoint::new("https://example.com/hook", keys.clone()).is_ok());
        for bad in [
            "http://example.com",
            "ftp://example.com",
            "https://u:p@example.com",
            "x",
        ] {
            assert!(Endpoint::new(bad, keys.clone()).is_err(), "{bad}");
        }
    }
}

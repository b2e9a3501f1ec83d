//! The HTTP client of webhooks: no redirects, no private addresses.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::webhook::is_public_address;
use crate::{Error, Result, transport::Roots};

const CONNECT: Duration = Duration::from_secs(5);

/// Delivers webhooks; keeps connections, cheap to clone.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    public: reqwest::Client,
    private: reqwest::Client,
}

impl WebhookClient {
    /// A client with its own connections.
    ///
    /// # Errors
    /// `Config` when TLS cannot be set up.
    pub fn new() -> Result<Self> {
        let build = |builder: reqwest::ClientBuilder| {
            let built = builder.build();
            built.map_err(|e| Error::config("cannot set up the HTTP client").with_source(e))
        };
        let roots = Roots::default();
        Ok(Self {
            public: build(
                roots
                    .http_builder(CONNECT)?
                    .dns_resolver(Arc::new(PublicOnly)),
            )?,
            private: build(roots.http_builder(CONNECT)?)?,
        })
    }

    pub(super) fn of(&self, private: bool) -> &reqwest::Client {
        if private { &self.private } else { &self.public }
    }
}

/// Looks at the addresses that are connected to: a name may change between a check and its use.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if found.iter().all(|address| is_public_address(address.ip())) {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            Err("the address is not public".into())
        })
    }
}

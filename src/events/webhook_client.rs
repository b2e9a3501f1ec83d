//! The HTTP client of webhooks: no redirects, no private addresses.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::webhook::is_public_address;
use crate::{
    Error, Result,
    transport::{HttpPool, RequestBody, Roots, fixed_headers, request},
};

const CONNECT: Duration = Duration::from_secs(5);
/// What a receiver says besides its status is not read further than this.
const ANSWER_BYTES: usize = 64 * 1024;
/// Most servers whose connections are kept; beyond that all connections are closed.
const SERVERS: usize = 256;

/// Delivers webhooks; keeps connections, cheap to clone.
#[derive(Clone, Default)]
pub struct WebhookClient(Arc<Mutex<HashMap<Server, Arc<HttpPool>>>>);

/// Scheme, host and port, and whether private addresses are allowed.
type Server = (String, String, Option<u16>, bool);

impl fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookClient").finish_non_exhaustive()
    }
}

impl WebhookClient {
    /// A client with its own connections.
    ///
    /// # Errors
    /// None today; `Config` if TLS could not be set up.
    pub fn new() -> Result<Self> {
        Ok(Self::default())
    }

    /// Posts a body; the status and the pause that the receiver asks for.
    pub(super) async fn post(
        &self,
        url: &Url,
        private: bool,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(StatusCode, Option<Duration>)> {
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let body = RequestBody::new(Bytes::copy_from_slice(body), Arc::default());
        let request = request(Method::POST, path, fixed_headers(url, headers), body)?;
        let sent = AtomicBool::new(false);
        match self.server(url, private)?.send(request, &sent).await {
            Ok((head, _)) => Ok((head.status, head.retry_after)),
            // A status came, and then more than is wanted or a break.
            Err(error) => match error.status().and_then(|s| StatusCode::from_u16(s).ok()) {
                Some(status) => Ok((status, None)),
                None => Err(error),
            },
        }
    }

    fn server(&self, url: &Url, private: bool) -> Result<Arc<HttpPool>> {
        let name = |part: &str| part.to_owned();
        let host = url.host_str().map(name).unwrap_or_default();
        let key = (name(url.scheme()), host, url.port(), private);
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(&key) {
            return Ok(Arc::clone(server));
        }
        let server = HttpPool::new(url, CONNECT, ANSWER_BYTES, &Roots::default())?
            .ok_or_else(|| Error::config("this build cannot reach such a URL"))?;
        let server = Arc::new(if private {
            server
        } else {
            server.only_to(is_public_address)
        });
        if servers.len() >= SERVERS {
            servers.clear();
        }
        servers.insert(key, Arc::clone(&server));
        Ok(server)
    }
}

//! The HTTP client of webhooks in a JavaScript host: its `fetch`, without redirects.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use url::Url;

use crate::{Result, transport::fetch_client};

/// What a receiver says besides its status is not read further than this.
const ANSWER_BYTES: usize = 64 * 1024;

/// Delivers webhooks; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct WebhookClient(());

impl WebhookClient {
    /// A client.
    ///
    /// # Errors
    /// None today.
    pub fn new() -> Result<Self> {
        Ok(Self::default())
    }

    /// Posts a body; the status and the pause that the receiver asks for.
    pub(super) async fn post(
        &self,
        url: &Url,
        _private: bool,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(StatusCode, Option<Duration>)> {
        match fetch_client::post(url, headers, body, ANSWER_BYTES).await {
            Ok((head, _)) => Ok((head.status, head.retry_after)),
            // A status came, and then more than is wanted or a break.
            Err(error) => match error.status().and_then(|s| StatusCode::from_u16(s).ok()) {
                Some(status) => Ok((status, None)),
                None => Err(error),
            },
        }
    }
}

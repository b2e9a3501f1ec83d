//! What the head of an answer tells.
use std::time::Duration;

use http::StatusCode;

use super::SyncToken;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Resp,
    Other,
}

/// What the head of an answer tells.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(super) format: Format,
    pub(super) is_event_stream: bool,
    pub(super) sync_token: Option<SyncToken>,
    pub(crate) retry_after: Option<Duration>,
}

impl Head {
    pub(super) fn from_parts(
        status: StatusCode,
        content_type: &[u8],
        sync: &[u8],
        after: &[u8],
    ) -> Self {
        let (format, is_event_stream) = match content_type {
            // Nearly every answer.
            b"application/json" => (Format::Json, false),
            other => kind(other),
        };
        let sync_token = match std::str::from_utf8(sync) {
            Ok(text) if !text.is_empty() => SyncToken::new(text).ok(),
            _ => None,
        };
        // Only the form in seconds: a date would need a trusted clock.
        let retry_after = std::str::from_utf8(after)
            .ok()
            .and_then(|v| v.trim().parse().ok())
            .map(|s: u32| Duration::from_secs(s.into()));
        Self {
            status,
            format,
            is_event_stream,
            sync_token,
            retry_after,
        }
    }

    /// Not a format of the protocol: some page of something in between.
    pub(super) fn is_page(&self) -> bool {
        self.format == Format::Other
    }
}

/// The format of a content type, and whether it is an event stream.
fn kind(content_type: &[u8]) -> (Format, bool) {
    let essence = content_type
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    let format = if essence.is_empty() || is("application/json") || is("text/plain") {
        Format::Json
    } else if is("application/octet-stream") {
        Format::Resp
    } else if essence.to_ascii_lowercase().ends_with(b"+json") {
        Format::Json
    } else {
        Format::Other
    };
    (format, is("text/event-stream"))
}

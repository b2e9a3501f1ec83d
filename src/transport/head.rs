//! What the head of an answer tells.
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    SyncToken,
    request::{STREAM_ENCODING, SYNC_TOKEN},
};
use crate::protocol::sse::StreamEncoding;

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
    pub(super) stream_encoding: StreamEncoding,
    pub(super) sync_token: Option<SyncToken>,
    pub(crate) retry_after: Option<Duration>,
}

impl Head {
    /// The headers that tell something.
    #[cfg(target_family = "wasm")]
    pub(super) fn names() -> [HeaderName; 5] {
        [
            header::CONTENT_TYPE,
            header::RETRY_AFTER,
            header::DATE,
            SYNC_TOKEN,
            STREAM_ENCODING.0,
        ]
    }

    pub(super) fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let get = |name: HeaderName| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let mut head = Self::from_parts(
            status,
            get(header::CONTENT_TYPE),
            get(SYNC_TOKEN),
            get(header::RETRY_AFTER),
            get(header::DATE),
        );
        if get(STREAM_ENCODING.0).eq_ignore_ascii_case(b"base64") {
            head.stream_encoding = StreamEncoding::Base64;
        }
        head
    }

    fn from_parts(
        status: StatusCode,
        content_type: &[u8],
        sync: &[u8],
        after: &[u8],
        date: &[u8],
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
        let retry_after = if after.is_empty() {
            None
        } else {
            pause(after, date)
        };
        Self {
            status,
            format,
            is_event_stream,
            stream_encoding: StreamEncoding::Plain,
            sync_token,
            retry_after,
        }
    }

    /// Not a format of the protocol: some page of something in between.
    pub(super) fn is_page(&self) -> bool {
        self.format == Format::Other
    }
}

/// What `Retry-After` asks for: seconds, or a date, which is compared with the answer's own
/// `Date`, as the clock here may be wrong.
fn pause(after: &[u8], date: &[u8]) -> Option<Duration> {
    let text = |value| std::str::from_utf8(value).ok().map(str::trim);
    let after = text(after)?;
    if let Ok(seconds) = after.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let time = |text| httpdate::parse_http_date(text).ok();
    let (until, now) = (time(after)?, time(text(date)?)?);
    let pause = until.duration_since(now).unwrap_or_default();
    Some(pause.min(Duration::from_secs(u32::MAX.into())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_clock_of_the_answer() {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        let pause = |after: &str, date: &str| {
            let [after, date] = [after, date].map(str::as_bytes);
            let head = Head::from_parts(StatusCode::OK, b"", b"", after, date);
            head.retry_after.map(|pause| pause.as_secs())
        };
        for (after, wanted) in [
            ("30", Some(30)),
            (" 4294967295 ", Some(u32::MAX.into())),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
            ("Sunday, 06-Nov-94 08:49:38 GMT", Some(1)),
            ("Sun Nov  6 08:49:40 1994", Some(3)),
            // Past, and further than any number of seconds.
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(u32::MAX.into())),
            ("", None),
            ("soon", None),
            ("-1", None),
            ("4294967296", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(pause(after, now), wanted, "{after}");
        }
        assert_eq!(pause(now, ""), None);
        assert_eq!(pause(now, "now"), None);
        assert_eq!(pause("30", "now"), Some(30));
    }
}

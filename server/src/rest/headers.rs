//! What the request's headers ask for.

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::reply::Format;
use crate::sse::Encoding;
use crate::texts::{self, Failure};
use crate::tokens;

pub(super) const SYNC_TOKEN: HeaderName = HeaderName::from_static("upstash-sync-token");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Upstash's clients ask for base64 replies on streams, too, and do not expect it there: this
/// needs a header of its own.
pub(super) const STREAM_ENCODING: HeaderName = HeaderName::from_static("restis-stream-encoding");
pub(super) const FAULT: &str = "restis-fault";
const ENCODING: HeaderName = HeaderName::from_static("upstash-encoding");
const RESPONSE_FORMAT: HeaderName = HeaderName::from_static("upstash-response-format");

/// The token of the `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    tokens::bearer(headers.get(AUTHORIZATION)?.as_bytes())
}

/// Whether replies are to be base64.
fn base64(headers: &HeaderMap) -> Result<bool, Failure> {
    match headers
        .get(ENCODING)
        .map(|value| value.as_bytes().trim_ascii())
    {
        None | Some(b"") => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"base64") => Ok(true),
        Some(_) => Err(Failure::bad_request(texts::BAD_ENCODING)),
    }
}

/// The format of JSON-only endpoints.
pub(super) fn json_format(headers: &HeaderMap) -> Result<Format, Failure> {
    Ok(if base64(headers)? {
        Format::Base64
    } else {
        Format::Json
    })
}

/// The format of replies.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Failure> {
    let json = json_format(headers)?;
    let Some(value) = headers.get(RESPONSE_FORMAT) else {
        return Ok(json);
    };
    let value = value.as_bytes().trim_ascii();
    if value.eq_ignore_ascii_case(b"json") || value.is_empty() {
        return Ok(json);
    }
    if !value.eq_ignore_ascii_case(b"resp2") {
        return Err(Failure::bad_request(texts::BAD_FORMAT));
    }
    match json {
        Format::Base64 => Err(Failure::bad_request(texts::RESP2_WITH_BASE64)),
        _ => Ok(Format::Resp2),
    }
}

/// How the events of a stream are to be written; the answer repeats it.
pub(super) fn stream_encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    match headers.get(STREAM_ENCODING).map(HeaderValue::as_bytes) {
        None => Ok(Encoding::Plain),
        Some(value) if value.eq_ignore_ascii_case(b"base64") => Ok(Encoding::Base64),
        Some(_) => Err(Failure::bad_request(texts::BAD_STREAM_ENCODING)),
    }
}

/// Whether the client accepts an event stream.
pub(super) fn accepts_stream(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        memchr::memmem::find(&value, b"text/event-stream").is_some()
    })
}

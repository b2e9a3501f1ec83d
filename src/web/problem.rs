//! Refusals of the layers as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) documents.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};

/// What the store's silence becomes.
pub(crate) const UNAVAILABLE: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "store-unavailable",
    "The store does not answer",
);

/// A problem document with type `urn:restis:problem:CODE`, never cached.
pub(crate) fn problem<B: From<String>>(
    (status, code, title): (StatusCode, &str, &str),
    retry: Option<Duration>,
    members: &[(&str, serde_json::Value)],
) -> Response<B> {
    let mut body = serde_json::json!({
        "type": format!("urn:restis:problem:{code}"),
        "title": title,
        "status": status.as_u16(),
        "code": code,
    });
    for (name, value) in members {
        body[name] = value.clone();
    }
    let retry_ms = retry.map(|retry| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX));
    if let Some(ms) = retry_ms {
        body["retry_after_ms"] = ms.into();
    }
    let mut response = Response::new(B::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(ms) = retry_ms {
        let seconds = ms.div_ceil(1000).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

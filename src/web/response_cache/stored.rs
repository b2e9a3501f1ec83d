//! A response as it is cached.

use base64_simd::STANDARD_NO_PAD;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response::Parts as Head,
};
use serde::{Deserialize, Serialize};

use super::directives::list;

/// What lies under a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Stored {
    /// A response.
    #[serde(rename = "r")]
    Response(StoredResponse),
    /// The responses depend on these headers: each lies under a key of its own.
    #[serde(rename = "v")]
    Varies(Vec<String>),
    /// The last response could not be stored: nobody waits for another one's.
    #[serde(rename = "p")]
    Pass,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredResponse {
    #[serde(rename = "s")]
    status: u16,
    #[serde(rename = "h")]
    headers: Vec<(String, String)>,
    #[serde(rename = "b")]
    body: StoredBody,
    /// Seconds that it was old when it came.
    #[serde(rename = "a")]
    pub(super) age: u64,
}

/// Text as text, so that it is compressed well.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum StoredBody {
    #[serde(rename = "t")]
    Text(String),
    #[serde(rename = "d")]
    Data(String),
}

/// Of one connection (RFC 9111, 3.1; RFC 9110, 7.6.1), or written anew for each answer.
const NOT_STORED: [&str; 10] = [
    "age",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What 304 tells (RFC 9110, 15.4.5).
const OF_NOT_MODIFIED: [HeaderName; 6] = [
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::VARY,
];

impl StoredResponse {
    /// `None` for headers that are no text.
    pub(super) fn new(head: &Head, body: &[u8], age: u64) -> Option<Self> {
        let of_connection = list(&head.headers, &header::CONNECTION);
        let is_kept = |name: &HeaderName| {
            let name = name.as_str();
            !NOT_STORED.contains(&name)
                && !of_connection
                    .iter()
                    .any(|one| one.eq_ignore_ascii_case(name))
        };
        let headers = head.headers.iter().filter(|(name, _)| is_kept(name));
        let headers = headers
            .map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        let body = match std::str::from_utf8(body) {
            Ok(text) => StoredBody::Text(text.to_owned()),
            Err(_) => StoredBody::Data(STANDARD_NO_PAD.encode_to_string(body)),
        };
        Some(Self {
            status: head.status.as_u16(),
            headers: headers.collect::<Option<_>>()?,
            body,
            age,
        })
    }

    /// What it was; `None` when it is damaged.
    pub(super) fn restore(&self) -> Option<(StatusCode, HeaderMap, Vec<u8>)> {
        let status = StatusCode::from_u16(self.status).ok()?;
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).ok()?;
            headers.append(name, HeaderValue::try_from(value).ok()?);
        }
        let body = match &self.body {
            StoredBody::Text(text) => text.clone().into_bytes(),
            StoredBody::Data(data) => STANDARD_NO_PAD.decode_to_vec(data).ok()?,
        };
        Some((status, headers, body))
    }
}

/// 304 with what it tells of a stored response.
pub(super) fn not_modified<C: From<Vec<u8>>>(stored: &HeaderMap) -> Response<C> {
    let mut response = Response::new(C::from(Vec::new()));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in OF_NOT_MODIFIED {
        for value in stored.get_all(&name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}

//! A text from elsewhere, by GET: no redirects, no credentials.
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use url::Url;

use super::time;
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

/// Reads what is at an address, up to `max` bytes within a time.
///
/// # Errors
/// `Connect`, `Timeout`, `TooLarge`, `Gateway` with the status of an answer that is not the text;
/// the address, which may hold a secret, is not told.
pub(crate) async fn fetch(url: &Url, within: Duration, max: usize) -> Result<Bytes> {
    let Some(answer) = time::timeout(within, get(url, max)).await else {
        let why = "no answer in time";
        return Err(Error::new(ErrorKind::Timeout, Delivery::MaybeExecuted, why));
    };
    let (status, body) = answer?;
    text_of(status, body)
}

/// The text, if the answer is it.
fn text_of(status: StatusCode, body: Bytes) -> Result<Bytes> {
    if status.is_success() {
        return Ok(body);
    }
    let error = Error::new(
        ErrorKind::Gateway,
        Delivery::Executed,
        "the answer is not the text",
    );
    Err(error.with_status(status.as_u16()))
}

#[cfg(not(target_family = "wasm"))]
async fn get(url: &Url, max: usize) -> Result<(StatusCode, Bytes)> {
    use super::{HttpPool, RequestBody, Roots, fixed_headers, request};
    use http::{HeaderMap, HeaderValue, Method, header};

    const CONNECT: Duration = Duration::from_secs(5);

    let server = HttpPool::new(url, CONNECT, max, &Roots::default())?
        .ok_or_else(|| Error::config("https needs the feature rustls"))?;
    let mut headers = fixed_headers(url, &HeaderMap::new());
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain, */*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = request(Method::GET, path, headers, RequestBody::empty())?;
    let sent = std::sync::atomic::AtomicBool::new(false);
    let answer = server.send(request, &sent);
    answer.await.map(|(head, body)| (head.status, body))
}

#[cfg(target_family = "wasm")]
async fn get(url: &Url, max: usize) -> Result<(StatusCode, Bytes)> {
    let (head, body) = super::fetch_client::get(url, max).await?;
    Ok((head.status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_the_text_is_an_error_of_the_gateway() {
        let page = || Bytes::from_static(b"<html>");
        for status in [200, 204] {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            assert!(text_of(status, page()).is_ok(), "{status}");
        }
        for status in [301, 304, 400, 403, 404, 429, 500, 503] {
            let answer = text_of(StatusCode::from_u16(status).unwrap_or_default(), page());
            let error = answer.err().unwrap_or_else(|| Error::config("no error"));
            assert_eq!(error.kind(), ErrorKind::Gateway, "{status}");
            assert_eq!(error.status(), Some(status));
            assert_eq!(error.delivery(), Delivery::Executed, "{status}");
        }
    }
}

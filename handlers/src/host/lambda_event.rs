//! Events of AWS Lambda as `lambda_http` can take them: it ends the invocation where a host, a scheme or an
//! address makes no sense, and clients choose those.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use lambda_http::{LambdaEvent, request::LambdaRequest};
use std::fmt::Write as _;
use url::Url;

/// An address longer than this, in bytes with escapes, is no route.
const LONGEST: usize = 60_000;
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// An event without what `lambda_http` cannot read, and without the second, shorter list of headers: for
/// it a header's last value, which stands there, replaces all of them.
pub(super) fn readable(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    match &mut event.payload {
        LambdaRequest::ApiGatewayV1(request) => {
            without_repeats(&request.multi_value_headers, &mut request.headers);
            without_nonsense(&mut request.headers);
            without_nonsense(&mut request.multi_value_headers);
            let queries = [
                &mut request.query_string_parameters,
                &mut request.multi_value_query_string_parameters,
            ];
            let query = queries.iter().map(|query| query.to_query_string().len());
            if !fits(&mut request.path, query.sum()) {
                for query in queries {
                    drop(std::mem::take(query));
                }
            }
        }
        LambdaRequest::Alb(request) => {
            without_repeats(&request.multi_value_headers, &mut request.headers);
            without_nonsense(&mut request.headers);
            without_nonsense(&mut request.multi_value_headers);
            let queries = [
                &mut request.query_string_parameters,
                &mut request.multi_value_query_string_parameters,
            ];
            let query = queries.iter().map(|query| query.to_query_string().len());
            if !fits(&mut request.path, query.sum()) {
                for query in queries {
                    drop(std::mem::take(query));
                }
            }
        }
        LambdaRequest::ApiGatewayV2(request) => {
            without_nonsense(&mut request.headers);
            request.raw_query_string = request.raw_query_string.take().map(|query| escaped(&query));
            let query = request.raw_query_string.as_ref().map_or(0, String::len);
            if !fits(&mut request.raw_path, query) {
                request.raw_query_string = None;
            }
        }
        _ => {}
    }
    event
}

fn without_repeats(all: &HeaderMap, last: &mut HeaderMap) {
    for name in all.keys() {
        last.remove(name);
    }
}

/// Removes a host that is none, and a scheme that is not of HTTP: who names none is asked from none.
fn without_nonsense(headers: &mut HeaderMap) {
    let is = |headers: &HeaderMap, name: &HeaderName, good: fn(&str) -> bool| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| value.to_str().is_ok_and(good))
    };
    if !is(headers, &header::HOST, is_host) {
        headers.remove(header::HOST);
    }
    if !is(headers, &PROTO, |scheme| matches!(scheme, "http" | "https")) {
        headers.insert(PROTO, HeaderValue::from_static("https"));
    }
}

/// A host, and a port or none.
fn is_host(text: &str) -> bool {
    Url::parse(&format!("https://{text}/")).is_ok_and(|url| {
        text.len() <= 255
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// Lets a path begin with a slash; one that is too long with its query becomes that of no route.
fn fits(path: &mut Option<String>, query: usize) -> bool {
    let path = path.get_or_insert_default();
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    // A byte may take three when it is escaped.
    let fits = path.len() * 3 + query <= LONGEST;
    if !fits {
        "/".clone_into(path);
    }
    fits
}

/// A query as an address may hold it.
fn escaped(query: &str) -> String {
    let mut escaped = String::with_capacity(query.len());
    for byte in query.bytes() {
        if byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        for host in [
            "api.example",
            "api.example:8443",
            "localhost",
            "192.0.2.1",
            "[2001:db8::1]:80",
        ] {
            assert!(is_host(host), "{host}");
        }
        for none in [
            "",
            " ",
            "a b",
            "a:99999",
            "a:b",
            "[::1",
            "999.999.999.999",
            "user@a",
            "a/b",
            "a?b",
            "a#b",
            "%",
        ] {
            assert!(!is_host(none), "{none}");
        }
    }

    #[test]
    fn a_query_keeps_what_an_address_may_hold() {
        assert_eq!(escaped("a=%20b&c=d+e/?:@[]"), "a=%20b&c=d+e/?:@[]");
        assert_eq!(escaped("q=a b<\u{e9}>#"), "q=a%20b%3C%C3%A9%3E%23");
    }
}

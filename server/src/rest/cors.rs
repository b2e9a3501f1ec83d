//! Cross-origin requests, only when asked for.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// Origins whose pages may call the server from a browser.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
}

impl Cors {
    /// Allows these origins, such as `https://app.example.com`; `*` allows every origin.
    ///
    /// # Errors
    /// If an origin is not of the form `scheme://host[:port]`.
    pub fn new<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let mut cors = Self {
            origins: Vec::new(),
            any: false,
        };
        for origin in origins {
            let origin = origin.as_ref().trim();
            if origin == "*" {
                cors.any = true;
                continue;
            }
            let host = origin.split_once("://").map(|(_, host)| host);
            let value = HeaderValue::from_str(origin).ok();
            match (host, value) {
                (Some(host), Some(value)) if !host.is_empty() && !host.contains('/') => {
                    cors.origins.push(value);
                }
                _ => {
                    return Err(format!(
                        "`{origin}` is not an origin such as https://app.example.com"
                    ));
                }
            }
        }
        Ok(cors)
    }

    /// Adds the headers that let the asking origin read the response.
    pub(super) fn response(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let Some(origin) = request.get(ORIGIN) else {
            return;
        };
        let allowed = if self.any {
            HeaderValue::from_static("*")
        } else if self.origins.contains(origin) {
            origin.clone()
        } else {
            return;
        };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        response.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("upstash-sync-token, x-request-id, restis-stream-encoding"),
        );
        if !self.any {
            response.insert(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// Adds the headers that answer a preflight request.
    pub(super) fn preflight(response: &mut HeaderMap) {
        response.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT"),
        );
        response.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(
                "authorization, content-type, accept, cache-control, upstash-encoding, \
                 upstash-response-format, upstash-sync-token, upstash-telemetry-sdk, \
                 upstash-telemetry-platform, upstash-telemetry-runtime, \
                 upstash-telemetry-retry, x-request-id, restis-stream-encoding",
            ),
        );
        response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn origins_are_checked() {
        assert!(Cors::new(["https://a.example", "http://localhost:3000"]).is_ok());
        for bad in ["a.example", "https://", "https://a/b"] {
            assert!(Cors::new([bad]).is_err(), "{bad}");
        }
    }
}

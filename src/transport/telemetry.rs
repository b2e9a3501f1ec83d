//! The telemetry headers of the official SDKs; nothing else is ever told.
use http::{HeaderMap, HeaderName, HeaderValue};

const SDK: HeaderName = HeaderName::from_static("upstash-telemetry-sdk");
const PLATFORM: HeaderName = HeaderName::from_static("upstash-telemetry-platform");
const RUNTIME: HeaderName = HeaderName::from_static("upstash-telemetry-runtime");

/// SDK and version, kind of platform, language.
pub(crate) fn headers() -> HeaderMap {
    let is_set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let platform = if is_set("VERCEL") {
        "vercel"
    } else if is_set("AWS_REGION") {
        "aws"
    } else {
        "unknown"
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        SDK,
        HeaderValue::from_static(concat!("restis@v", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(PLATFORM, HeaderValue::from_static(platform));
    headers.insert(RUNTIME, HeaderValue::from_static("rust"));
    headers
}

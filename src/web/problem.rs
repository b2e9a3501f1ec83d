//! Refusals as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) documents.

use std::{borrow::Cow, time::Duration};

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

use crate::{Error, ErrorKind};
#[cfg(feature = "ratelimit")]
use crate::{
    ratelimit::{Decision, Reason},
    web::ratelimit_headers,
};

/// Why a request gets no ordinary answer: the parts of a problem document.
///
/// The layers answer with it; a route of an application can do the same.
///
/// ```
/// use restis::web::Refusal;
/// use std::time::Duration;
///
/// let refusal = Refusal::rate_limited().retry_after(Duration::from_secs(3));
/// let response: http::Response<String> = refusal.into_response();
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["retry-after"], "3");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
}

impl Refusal {
    /// A refusal of type `urn:restis:problem:CODE`; the title is the same for every occurrence.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self {
            status,
            code,
            title,
            detail: None,
            retry_after: None,
            members: Map::new(),
        }
    }

    /// 400: the request cannot be understood.
    pub fn invalid() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            "The request is not valid",
        )
    }

    /// 401: no session cookie, or its session ended.
    pub fn session_missing() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "session-missing",
            "There is no live session",
        )
    }

    /// 403: a change that another site asks for.
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "csrf-failed",
            "The request comes from another site",
        )
        .detail(
            "send it from a page of the same site (`Origin` or `Sec-Fetch-Site` says so), or with \
             the session's token as `X-CSRF-Token`, or name its origin in `SESSION_ALLOWED_ORIGINS`",
        )
    }

    /// 403: the caller is on a deny list.
    pub fn denied() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "denied",
            "The caller is on a deny list",
        )
    }

    /// 413: the request is larger than the service or the store takes.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
        )
    }

    /// 429: a limit is used up.
    pub fn rate_limited() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate-limited",
            "Too many requests",
        )
    }

    /// 500: a fault of the service.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The service failed",
        )
    }

    /// 503: the store does not answer.
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unavailable",
            "The store does not answer",
        )
    }

    /// 503: the store does not accept the service's credentials.
    pub fn store_refused() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-refused",
            "The store refuses the service",
        )
        .detail("the operator has to correct the store's URL or token")
        .retry_after(Duration::from_secs(30))
    }

    /// What an error becomes in an answer; writes it to the log.
    pub fn of_error(error: &Error) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "store unavailable");
            let after = error.retry_after().unwrap_or(Duration::from_secs(1));
            return Self::unavailable()
                .detail("try again after the time in Retry-After")
                .retry_after(after);
        }
        match error.kind() {
            ErrorKind::InvalidInput => Self::invalid().detail(error.to_string()),
            ErrorKind::TooLarge => Self::too_large().detail(error.to_string()),
            ErrorKind::Protocol => {
                tracing::error!(%error, "what answers is no store");
                Self::unavailable()
                    .detail("try again after the time in Retry-After")
                    .retry_after(Duration::from_secs(1))
            }
            ErrorKind::Unauthorized | ErrorKind::NoPermission | ErrorKind::ReadOnly => {
                tracing::error!(%error, "the store refuses our credentials");
                Self::store_refused()
            }
            ErrorKind::WrongType | ErrorKind::Decode | ErrorKind::Server => {
                tracing::error!(%error, "the store holds what cannot be read");
                Self::unavailable()
                    .detail("another program wrote under a key of the service: the operator finds it in the log")
                    .retry_after(Duration::from_secs(30))
            }
            _ => {
                tracing::error!(%error, "store error");
                Self::internal()
            }
        }
    }

    /// What a decision becomes in an answer; `None` when the request may go on.
    ///
    /// `policy` names the limits, as in the headers; `violated-policies` lists those that refuse.
    #[cfg(feature = "ratelimit")]
    pub fn of_decision(policy: &str, decision: &Decision) -> Option<Self> {
        if decision.is_allowed() {
            return None;
        }
        let mut refusal = match decision.reason() {
            Reason::DenyList if decision.listed().is_none() => Self::denied().detail(
                "The client's address is not known, and this limit has lists of addresses.",
            ),
            Reason::DenyList => Self::denied(),
            Reason::Unavailable => Self::unavailable(),
            _ => Self::rate_limited(),
        };
        refusal.retry_after = decision.retry_after();
        let violated = ratelimit_headers::violated(policy, decision);
        if !violated.is_empty() {
            refusal = refusal.member("violated-policies", violated);
        }
        Some(refusal)
    }

    /// Says what is wrong this time. Never put a value or a secret here.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds, and `retry_after_ms`.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Adds an extension member.
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The text that is the same for every occurrence.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The stable URI of the type: `urn:restis:problem:CODE`.
    pub fn type_uri(&self) -> String {
        format!("urn:restis:problem:{}", self.code)
    }

    /// How long to wait, if waiting helps.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The document: `type`, `title`, `status`, `code`, `detail` and the members.
    pub fn document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("type", self.type_uri().into());
        put("title", self.title.into());
        put("status", self.status.as_u16().into());
        put("code", self.code.into());
        if let Some(detail) = &self.detail {
            put("detail", detail.as_ref().into());
        }
        document.extend(self.members.clone());
        document
    }

    /// The answer: the document with `retry_after_ms`, never cached.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut document = self.document();
        let wait = self.retry_after;
        let wait_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        if let Some(ms) = wait_ms {
            document.insert("retry_after_ms".to_owned(), ms.into());
        }
        let mut response = Response::new(B::from(Value::Object(document).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(ms) = wait_ms {
            let seconds = ms.div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

//! Errors as RFC 9457 problem documents.
//!
//! Every failure of the API leaves as `application/problem+json` with a stable `type`
//! (`urn:restis:problem:CODE`), `title`, `status`, `code` and a `detail` that says what to do.
//! [`TYPES`] lists them all. Source: <https://www.rfc-editor.org/rfc/rfc9457>.

#[macro_use]
pub(crate) mod responses;
mod types;

pub use types::{ProblemType, TYPES};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use restis::{Error, ErrorKind};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, time::Duration};

/// Result of a route.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// One problem document, ready to be an answer.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
    cookies: Vec<HeaderValue>,
}

/// The document's members, as the API description shows them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// `urn:restis:problem:CODE`, stable.
    #[serde(rename = "type")]
    #[schema(example = "urn:restis:problem:invalid-request")]
    pub kind: String,
    /// What went wrong, the same text for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The last part of `type`.
    pub code: String,
    /// What is wrong this time, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    /// A problem with its status, code and title.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            title,
            detail: None,
            retry_after: None,
            members: Map::new(),
            cookies: Vec::new(),
        }))
    }

    /// 400: the request cannot be understood.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            "The request is not valid",
        )
        .detail(detail)
    }

    /// 401: no accepted credentials.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "Credentials are missing or not accepted",
        )
        .detail("send a service token as `Authorization: Bearer TOKEN`")
    }

    /// 401: a signature that nobody accepted made.
    pub fn signature_invalid() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "signature-invalid",
            "The signature is not accepted",
        )
    }

    /// 413: the body is larger than the service takes.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
        )
    }

    /// 413: the body is larger than this.
    pub(crate) fn body_too_large(bytes: usize) -> Self {
        Self::too_large().detail(format!(
            "the body has at most {bytes} bytes (`MAX_BODY_BYTES`)"
        ))
    }

    /// 403: the caller is known but may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The caller may not do this",
        )
        .detail(detail)
    }

    /// 404: nothing is here.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Nothing is here").detail(detail)
    }

    /// 503: the store does not answer.
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unavailable",
            "The store does not answer",
        )
        .detail("try again after the time in Retry-After")
        .retry_after(Duration::from_secs(1))
    }

    /// 500: a fault of the service.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The service failed",
        )
    }

    /// Says what is wrong this time. Never put a value or a secret here.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Adds an extension member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Sends cookies with the answer.
    #[must_use]
    pub(crate) fn cookies(mut self, cookies: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.0.cookies.extend(cookies);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }
}

fn uri(code: &str) -> String {
    format!("urn:restis:problem:{code}")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let inner = *self.0;
        let mut body = Map::new();
        body.insert("type".into(), uri(inner.code).into());
        body.insert("title".into(), inner.title.into());
        body.insert("status".into(), inner.status.as_u16().into());
        body.insert("code".into(), inner.code.into());
        if let Some(detail) = inner.detail {
            body.insert("detail".into(), detail.into());
        }
        body.extend(inner.members);
        let mut response = (inner.status, Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = inner.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        for cookie in inner.cookies {
            headers.append(header::SET_COOKIE, cookie);
        }
        if inner.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.is_unavailable() {
            let after = error.retry_after().unwrap_or(Duration::from_secs(1));
            tracing::warn!(%error, "store unavailable");
            return Self::unavailable().retry_after(after);
        }
        match error.kind() {
            ErrorKind::InvalidInput => Self::invalid(error.to_string()),
            ErrorKind::TooLarge => Self::too_large().detail(error.to_string()),
            ErrorKind::Protocol => {
                tracing::error!(%error, "what answers is no store");
                Self::unavailable()
            }
            ErrorKind::Unauthorized | ErrorKind::NoPermission | ErrorKind::ReadOnly => {
                tracing::error!(%error, "the store refuses our credentials");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "store-refused",
                    "The store refuses the service",
                )
                .detail("the operator has to correct the store's URL or token")
                .retry_after(Duration::from_secs(30))
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
}

//! Errors as RFC 9457 problem documents.
//!
//! Every failure of the API leaves as `application/problem+json` with a stable `type`
//! (`urn:restis:problem:CODE`), `title`, `status`, `code` and a `detail` that says what to do.
//! [`TYPES`] lists them all. Source: <https://www.rfc-editor.org/rfc/rfc9457>.

#[macro_use]
pub(crate) mod responses;
mod types;

pub use types::{ProblemType, TYPES};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use restis::{Error, web::Refusal};
use serde::Serialize;
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

/// Result of a route.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// One problem document, ready to be an answer.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    refusal: Refusal,
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
        Refusal::new(status, code, title).into()
    }

    /// 400: the request cannot be understood.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Refusal::invalid().detail(detail).into()
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
        Refusal::too_large().into()
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
        Refusal::unavailable()
            .detail("try again after the time in Retry-After")
            .retry_after(Duration::from_secs(1))
            .into()
    }

    /// 500: a fault of the service.
    pub fn internal() -> Self {
        Refusal::internal().into()
    }

    fn map(mut self, change: impl FnOnce(Refusal) -> Refusal) -> Self {
        self.0.refusal = change(self.0.refusal);
        self
    }

    /// Says what is wrong this time. Never put a value or a secret here.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.map(|refusal| refusal.detail(detail))
    }

    /// Sets `Retry-After`, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        self.map(|refusal| refusal.retry_after(after))
    }

    /// Adds an extension member.
    #[must_use]
    pub fn member(self, name: &str, value: impl Into<Value>) -> Self {
        self.map(|refusal| refusal.member(name, value))
    }

    /// Sends cookies with the answer.
    #[must_use]
    pub(crate) fn cookies(mut self, cookies: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.0.cookies.extend(cookies);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.refusal.status()
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.refusal.code()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let document = self.0.refusal.document();
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        f.write_str(text("title").unwrap_or_default())?;
        match text("detail") {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

fn uri(code: &str) -> String {
    format!("urn:restis:problem:{code}")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { refusal, cookies } = *self.0;
        let unauthorized = refusal.status() == StatusCode::UNAUTHORIZED;
        let mut response = refusal.into_response::<Body>();
        let headers = response.headers_mut();
        for cookie in cookies {
            headers.append(header::SET_COOKIE, cookie);
        }
        if unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(Inner {
            refusal,
            cookies: Vec::new(),
        }))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Refusal::of_error(&error).into()
    }
}

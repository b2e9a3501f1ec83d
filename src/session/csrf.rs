//! Refusing requests that another site makes with the user's cookie.
//!
//! Decided by `Sec-Fetch-Site`, then `Origin`; a client without both needs the session's token.
//! Source: <https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html>.

use super::{Secrets, Token};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, header};
use subtle::ConstantTimeEq;

/// The header that carries the token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Which other origins may act with the cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsrfPolicy {
    origins: Vec<String>,
    same_site: bool,
}

/// What the request's headers say about where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The method changes nothing, or the request comes from this site.
    Trusted,
    /// Not a browser of this decade: ask for the session's token.
    Unknown,
    /// Another site.
    Foreign,
}

impl CsrfPolicy {
    /// Allows an origin, e.g. `https://app.example.com`.
    #[must_use]
    pub fn allow(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Allows the other hosts of the same site.
    #[must_use]
    pub fn allow_same_site(mut self) -> Self {
        self.same_site = true;
        self
    }

    /// The origins that are allowed.
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Judges a request by its method and headers.
    pub fn judge(&self, method: &Method, headers: &HeaderMap) -> Origin {
        if matches!(
            *method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
        ) {
            return Origin::Trusted;
        }
        let one = |name: &str| -> Option<Option<&str>> {
            let mut values = headers.get_all(name).iter();
            let first = values.next().map(|v| v.to_str().unwrap_or("invalid"));
            values.next().is_none().then_some(first)
        };
        // A header given twice was not sent by a browser.
        let (Some(site), Some(origin)) = (one("sec-fetch-site"), one(header::ORIGIN.as_str()))
        else {
            return Origin::Foreign;
        };
        if origin.is_some_and(|o| self.origins.iter().any(|a| a == o)) {
            return Origin::Trusted;
        }
        match (site, origin) {
            (Some("same-origin" | "none"), _) => Origin::Trusted,
            (Some("same-site"), _) if self.same_site => Origin::Trusted,
            (Some(_), _) => Origin::Foreign,
            (None, Some(origin)) => {
                let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
                let theirs = origin.split_once("://").map(|(_, rest)| rest);
                match (theirs, host) {
                    (Some(theirs), Some(host)) if theirs.eq_ignore_ascii_case(host) => {
                        Origin::Trusted
                    }
                    _ => Origin::Foreign,
                }
            }
            (None, None) => Origin::Unknown,
        }
    }

    /// Whether a request with a session cookie may change anything.
    pub fn permits(
        &self,
        method: &Method,
        headers: &HeaderMap,
        token: &Token,
        secrets: &Secrets,
    ) -> bool {
        match self.judge(method, headers) {
            Origin::Trusted => true,
            Origin::Foreign => false,
            Origin::Unknown => headers
                .get(CSRF_HEADER)
                .and_then(|v| v.to_str().ok())
                .is_some_and(|presented| verify(presented, token, secrets)),
        }
    }
}

/// A token for old clients: masked differently each time, so that compression cannot leak it.
pub(crate) fn masked(token: &Token, secrets: &Secrets) -> Result<String, getrandom::Error> {
    let mask: [u8; 16] = super::secrets::random()?;
    let inner = secrets.forgery(token).unwrap_or_default();
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&mask);
    for (out, (a, b)) in bytes[16..].iter_mut().zip(mask.iter().zip(inner)) {
        *out = a ^ b;
    }
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether this is a token that belongs to the session.
pub(crate) fn verify(presented: &str, token: &Token, secrets: &Secrets) -> bool {
    let Some(inner) = secrets.forgery(token) else {
        return false;
    };
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(presented) else {
        return false;
    };
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else {
        return false;
    };
    let mut unmasked = [0; 16];
    for (out, (a, b)) in unmasked
        .iter_mut()
        .zip(bytes[..16].iter().zip(&bytes[16..]))
    {
        *out = a ^ b;
    }
    unmasked.ct_eq(&inner).into()
}

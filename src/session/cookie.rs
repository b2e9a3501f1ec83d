//! The session cookie: reading it strictly, writing it, removing it.
//!
//! Source: <https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/>.

use http::{HeaderMap, HeaderValue, header};
use std::{fmt::Write as _, time::Duration};

/// Browsers cap `Max-Age` at 400 days.
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

/// When a browser sends the cookie along with requests from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// On top-level navigation only: links and sign-in returns work.
    #[default]
    Lax,
    /// Never: links from elsewhere arrive signed out.
    Strict,
    /// Always; needs HTTPS.
    None,
}

/// How the session cookie looks. The default is `__Host-sid`, `Secure`, `HttpOnly`, `SameSite=Lax`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    name: String,
    same_site: SameSite,
    domain: Option<String>,
    secure: bool,
    partitioned: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: "__Host-sid".to_owned(),
            same_site: SameSite::Lax,
            domain: None,
            secure: true,
            partitioned: false,
        }
    }
}

impl CookieConfig {
    /// A cookie for plain HTTP on the developer's machine: `sid`, not `Secure`.
    pub fn insecure() -> Self {
        Self {
            name: "sid".to_owned(),
            secure: false,
            ..Self::default()
        }
    }

    /// Sets the name, 1–64 characters of a token (RFC 9110).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets `SameSite`.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Shares the cookie with the subdomains; the prefix becomes `__Secure-`.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        if let Some(rest) = self.name.strip_prefix("__Host-") {
            self.name = format!("__Secure-{rest}");
        }
        self
    }

    /// Keeps the cookie apart for each top-level site (`Partitioned`).
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// The cookie's name.
    pub fn cookie_name(&self) -> &str {
        &self.name
    }

    /// Whether the cookie needs HTTPS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Every contradiction in the settings.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(token) {
            problems.push(
                "SESSION_COOKIE_NAME: the cookie name must be 1 to 64 characters of a token"
                    .to_owned(),
            );
        }
        let prefixed = self.name.starts_with("__Host-") || self.name.starts_with("__Secure-");
        if prefixed && !self.secure {
            problems
                .push("SESSION_COOKIE_INSECURE: a cookie with a `__Host-` or `__Secure-` prefix (SESSION_COOKIE_NAME) must be secure".to_owned());
        }
        if self.name.starts_with("__Host-") && self.domain.is_some() {
            problems.push("SESSION_COOKIE_DOMAIN: a `__Host-` cookie (SESSION_COOKIE_NAME) cannot have a domain".to_owned());
        }
        if !self.secure && (self.same_site == SameSite::None || self.partitioned) {
            problems.push("SESSION_COOKIE_INSECURE: SameSite=None (SESSION_COOKIE_SAMESITE) and Partitioned (SESSION_COOKIE_PARTITIONED) need a secure cookie".to_owned());
        }
        let host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        if self
            .domain
            .as_ref()
            .is_some_and(|d| d.is_empty() || d.len() > 253 || !d.bytes().all(host))
        {
            problems
                .push("SESSION_COOKIE_DOMAIN: the cookie domain must be a host name".to_owned());
        }
        problems
    }

    /// The `Set-Cookie` value that gives the browser a token.
    pub fn set(&self, value: &str, max_age: Duration) -> HeaderValue {
        self.render(value, max_age.min(MAX_AGE))
    }

    /// The `Set-Cookie` value that removes the cookie: same attributes, no age.
    pub fn remove(&self) -> HeaderValue {
        self.render("", Duration::ZERO)
    }

    /// The `Set-Cookie` values that remove cookies of this name that other settings have set: for
    /// this host alone, a domain above it, or with `Partitioned`.
    pub fn remove_others(&self, headers: &HeaderMap) -> Vec<HeaderValue> {
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
        let mut domains = vec![None];
        if !self.name.starts_with("__Host-") {
            domains.extend(self.domain.clone().map(Some));
            domains.extend(
                host.map(domains_of)
                    .unwrap_or_default()
                    .into_iter()
                    .map(Some),
            );
        }
        domains.sort_unstable();
        domains.dedup();
        let each = domains.into_iter().flat_map(|domain| {
            [false, true].map(|partitioned| Self {
                domain: domain.clone(),
                partitioned,
                ..self.clone()
            })
        });
        each.filter(|cookie| cookie != self && (cookie.secure || !cookie.partitioned))
            .map(|cookie| cookie.remove())
            .collect()
    }

    fn render(&self, value: &str, max_age: Duration) -> HeaderValue {
        let mut text = format!(
            "{}={value}; Path=/; Max-Age={}",
            self.name,
            max_age.as_secs()
        );
        if let Some(domain) = &self.domain {
            let _ = write!(text, "; Domain={domain}");
        }
        text.push_str(if self.secure {
            "; Secure; HttpOnly"
        } else {
            "; HttpOnly"
        });
        text.push_str(match self.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        if self.partitioned {
            text.push_str("; Partitioned");
        }
        let mut header = HeaderValue::from_str(&text)
            .unwrap_or_else(|_| HeaderValue::from_static("sid=; Max-Age=0"));
        header.set_sensitive(true);
        header
    }

    /// Finds the session cookie, byte by byte as the browser sent it.
    ///
    /// Two cookies of the name, or one whose name only looks like it (white space, letter case),
    /// mean that somebody planted one: [`Presented::Ambiguous`].
    pub fn find<'h>(&self, headers: &'h HeaderMap) -> Presented<'h> {
        let mut found = Presented::None;
        for line in headers.get_all(header::COOKIE) {
            for pair in line.as_bytes().split(|&b| b == b';') {
                let pair = pair.strip_prefix(b" ").unwrap_or(pair);
                let Some(eq) = pair.iter().position(|&b| b == b'=') else {
                    continue;
                };
                let (name, value) = (&pair[..eq], &pair[eq + 1..]);
                if name == self.name.as_bytes() {
                    found = match (found, std::str::from_utf8(value)) {
                        (Presented::None, Ok(value)) => Presented::One(value),
                        _ => return Presented::Ambiguous,
                    };
                } else if looks_like(name, &self.name) {
                    return Presented::Ambiguous;
                }
            }
        }
        found
    }
}

/// The most domains of one host that cookies are removed from.
const MAX_DOMAINS: usize = 4;

/// A host name and those above it that may have cookies; none for an address.
fn domains_of(host: &str) -> Vec<String> {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = name.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let is_name = name.bytes().all(plain) && !name.ends_with(|c: char| c.is_ascii_digit());
    if !is_name || name.len() > 253 {
        return Vec::new();
    }
    let labels: Vec<&str> = name.split('.').collect();
    let most = labels.len().saturating_sub(1).min(MAX_DOMAINS);
    let first = labels.len().saturating_sub(1).saturating_sub(most);
    (first..first + most)
        .filter_map(|at| labels.get(at..))
        .map(|labels| labels.join("."))
        .collect()
}

fn looks_like(name: &[u8], ours: &str) -> bool {
    String::from_utf8_lossy(name)
        .trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{FFFD}')
        .eq_ignore_ascii_case(ours)
}

/// What a request presents as session cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presented<'h> {
    /// No cookie: nothing to look up.
    None,
    /// One cookie and its value.
    One(&'h str),
    /// Several, or an imitation: no session.
    Ambiguous,
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::One(_) => "One(…)",
            Self::Ambiguous => "Ambiguous",
        })
    }
}

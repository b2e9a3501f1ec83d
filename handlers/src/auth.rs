//! Who may call: service tokens, their scopes and organisations.
//!
//! Tokens are kept as SHA-256 digests and compared in constant time; a service may sign its requests instead. A caller without a token
//! has no scope: every route that is not public refuses it.

use crate::{AppState, problem::Problem, signed::Signed};
use axum::extract::FromRequestParts;
use http::{header, request::Parts};
use restis::events::{SignatureError, WebhookKeys};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};
use subtle::ConstantTimeEq;

/// What a service token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Check and peek at limits: `ratelimit:check`.
    RateLimitCheck,
    /// Reset limits: `ratelimit:admin`.
    RateLimitAdmin,
    /// Create sessions for any user: `session:create`.
    SessionCreate,
    /// List and revoke any user's sessions: `session:admin`.
    SessionAdmin,
    /// Publish events: `events:publish`.
    EventsPublish,
    /// Read history and streams: `events:read`.
    EventsRead,
    /// Dead letters, grants: `events:admin`.
    EventsAdmin,
    /// Read cached values: `cache:read`.
    CacheRead,
    /// Store and invalidate cached values: `cache:write`.
    CacheWrite,
    /// Read metrics: `metrics`.
    Metrics,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 10] = [
        Self::RateLimitCheck,
        Self::RateLimitAdmin,
        Self::SessionCreate,
        Self::SessionAdmin,
        Self::EventsPublish,
        Self::EventsRead,
        Self::EventsAdmin,
        Self::CacheRead,
        Self::CacheWrite,
        Self::Metrics,
    ];

    /// The scope's name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimitCheck => "ratelimit:check",
            Self::RateLimitAdmin => "ratelimit:admin",
            Self::SessionCreate => "session:create",
            Self::SessionAdmin => "session:admin",
            Self::EventsPublish => "events:publish",
            Self::EventsRead => "events:read",
            Self::EventsAdmin => "events:admin",
            Self::CacheRead => "cache:read",
            Self::CacheWrite => "cache:write",
            Self::Metrics => "metrics",
        }
    }

    /// The scopes that a name, `GROUP:*` or `*` stands for.
    fn matching(text: &str) -> Vec<Self> {
        let group = text
            .strip_suffix('*')
            .filter(|g| g.is_empty() || g.ends_with(':'));
        Self::ALL
            .into_iter()
            .filter(|s| group.map_or(s.name() == text, |g| s.name().starts_with(g)))
            .collect()
    }
}

#[derive(Clone)]
struct ServiceToken {
    name: Arc<str>,
    proof: Proof,
    scopes: Arc<[Scope]>,
    organisations: Option<Arc<[String]>>,
}

/// How a service shows who it is.
#[derive(Clone)]
enum Proof {
    /// The SHA-256 of the token that it sends.
    Token([u8; 32]),
    /// The secrets that it signs with.
    Signature(WebhookKeys),
}

/// The service tokens that are accepted.
#[derive(Clone, Default)]
pub struct ServiceTokens(Vec<ServiceToken>);

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|t| &t.name))
            .finish()
    }
}

/// A token as `RESTIS_SERVICE_TOKENS` lists it: its digest, never the token, or what it signs with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secrets: Option<Vec<String>>,
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organisations: Option<Vec<String>>,
}

impl fmt::Debug for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEntry")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("organisations", &self.organisations)
            .finish_non_exhaustive()
    }
}

impl TokenEntry {
    /// The entry of a token; a scope without a colon means its whole group.
    ///
    /// No organisation means all of them.
    ///
    /// # Errors
    /// Says which name or scope is wrong.
    pub fn new(
        name: &str,
        token: &str,
        scopes: &[String],
        organisations: &[String],
    ) -> Result<Self, String> {
        let scopes = scopes.iter().map(|text| {
            let group = format!("{text}:*");
            let scope = if Scope::matching(&group).is_empty() {
                text
            } else {
                &group
            };
            scope.clone()
        });
        let entry = Self {
            name: name.to_owned(),
            sha256: Some(hex::encode(Sha256::digest(token))),
            secrets: None,
            scopes: scopes.collect(),
            organisations: (!organisations.is_empty()).then(|| organisations.to_vec()),
        };
        entry.token()?;
        Ok(entry)
    }

    /// The token's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn token(&self) -> Result<ServiceToken, String> {
        let name = &self.name;
        if name.is_empty() {
            return Err("a token needs a name".to_owned());
        }
        let proof = match (&self.sha256, &self.secrets) {
            (Some(digest), None) => Proof::Token(decode_hex(digest).ok_or_else(|| {
                format!("token `{name}`: `sha256` must be 64 hexadecimal digits")
            })?),
            (None, Some(secrets)) => Proof::Signature(
                WebhookKeys::new(secrets).map_err(|e| format!("token `{name}`: {e}"))?,
            ),
            _ => return Err(format!("token `{name}`: needs `sha256`, or `secrets`")),
        };
        let mut scopes = Vec::new();
        for text in &self.scopes {
            let matching = Scope::matching(text);
            if matching.is_empty() {
                let known = Scope::ALL.map(Scope::name).join(", ");
                return Err(format!(
                    "token `{name}`: unknown scope `{text}`; there are {known}, `GROUP:*` and `*`"
                ));
            }
            scopes.extend(matching);
        }
        Ok(ServiceToken {
            name: name.as_str().into(),
            proof,
            scopes: scopes.into(),
            organisations: self.organisations.clone().map(Into::into),
        })
    }
}

impl ServiceTokens {
    /// No token: every protected route refuses everyone.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether no token is accepted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a token with every scope, for every organisation.
    #[must_use]
    pub fn with_full_access(mut self, name: &str, token: &str) -> Self {
        self.0.push(ServiceToken {
            name: name.into(),
            proof: Proof::Token(Sha256::digest(token).into()),
            scopes: Scope::ALL.into(),
            organisations: None,
        });
        self
    }

    /// Adds a token with some scopes, and only for some organisations if they are given.
    #[must_use]
    pub fn with(
        mut self,
        name: &str,
        token: &str,
        scopes: &[Scope],
        organisations: Option<&[&str]>,
    ) -> Self {
        self.0.push(ServiceToken {
            name: name.into(),
            proof: Proof::Token(Sha256::digest(token).into()),
            scopes: scopes.into(),
            organisations: organisations.map(|o| o.iter().map(|&o| o.to_owned()).collect()),
        });
        self
    }

    /// Parses the JSON of `RESTIS_SERVICE_TOKENS`:
    /// `[{"name":"web","sha256":"HEX","scopes":["session:*"],"organisations":["acme"]}]`;
    /// `restis token new` makes entries. With `"secrets":["whsec_…"]` instead of `sha256` requests are signed.
    ///
    /// # Errors
    /// Says which entry is wrong and why.
    pub fn parse(json: &str) -> Result<Self, String> {
        let entries: Vec<TokenEntry> =
            serde_json::from_str(json).map_err(|e| format!("not a list of tokens: {e}"))?;
        let tokens: Result<Vec<_>, _> = entries.iter().map(TokenEntry::token).collect();
        let tokens = Self(tokens?);
        let mut signers: Vec<&str> = tokens.signers().map(|(name, ..)| name).collect();
        signers.sort_unstable();
        match signers.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(twice) => Err(format!("two tokens with `secrets` have the name {twice:?}")),
            None => Ok(tokens),
        }
    }

    fn find(&self, presented: &str) -> Option<&ServiceToken> {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        // Every entry is compared, so that the time tells nothing about which one matched.
        let mut found = None;
        for token in &self.0 {
            if let Proof::Token(known) = &token.proof
                && bool::from(known.ct_eq(&digest))
            {
                found = Some(token);
            }
        }
        found
    }

    fn signers(&self) -> impl Iterator<Item = (&str, &WebhookKeys, &ServiceToken)> {
        self.0.iter().filter_map(|token| match &token.proof {
            Proof::Signature(keys) => Some((&*token.name, keys, token)),
            Proof::Token(_) => None,
        })
    }

    /// Who signs by this name, if the check of the signature says so; else why not.
    pub(crate) fn signer(
        &self,
        name: &str,
        check: impl FnOnce(&WebhookKeys) -> Result<(), SignatureError>,
    ) -> Result<Caller, String> {
        let found = self.signers().find(|(known, ..)| *known == name);
        let (_, keys, token) = found.ok_or("nobody signs by this name")?;
        check(keys).map_err(|error| error.to_string())?;
        Ok(Caller(token.clone()))
    }

    /// Who presents these headers; `None` without an accepted token.
    pub fn caller(&self, headers: &http::HeaderMap) -> Option<Caller> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        self.find(token.trim()).map(|t| Caller(t.clone()))
    }
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

/// A caller with an accepted service token. As an extractor it answers 401 otherwise.
#[derive(Clone)]
pub struct Caller(ServiceToken);

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.0.name).finish()
    }
}

impl Caller {
    /// The token's name in configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the token carries the scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.scopes.contains(&scope)
    }

    /// Refuses a caller without the scope.
    ///
    /// # Errors
    /// 403 that names the missing scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.has(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "the token needs the scope `{}`",
            scope.name()
        )))
    }

    /// Whether the caller may act for every organisation.
    pub fn is_unrestricted(&self) -> bool {
        self.0.organisations.is_none()
    }

    /// Refuses a caller whose token is bound to organisations, on a route that is for all of them.
    ///
    /// # Errors
    /// 403.
    pub fn require_unrestricted(&self) -> Result<(), Problem> {
        match self.is_unrestricted() {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "the route is for tokens of all organisations, and this one is bound to some",
            )),
        }
    }

    /// Refuses a caller whose token is bound to other organisations.
    ///
    /// # Errors
    /// 403.
    pub fn require_organisation(&self, organisation: Option<&str>) -> Result<(), Problem> {
        match (&self.0.organisations, organisation) {
            (None, _) => Ok(()),
            (Some(allowed), Some(asked)) if allowed.iter().any(|o| o == asked) => Ok(()),
            (Some(_), Some(_)) => Err(Problem::forbidden("the token is not for this organisation")),
            (Some(_), None) => Err(Problem::forbidden(
                "the token is bound to organisations: name one",
            )),
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if let Some(signed) = parts.extensions.get::<Signed>() {
            return signed.claim(state, parts).await;
        }
        let caller = state.tokens().caller(&parts.headers);
        caller.ok_or_else(Problem::unauthenticated)
    }
}

impl axum::extract::OptionalFromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    /// `None` without an `Authorization` header; a wrong token is still refused.
    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Option<Self>, Problem> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<AppState>>::from_request_parts(parts, state)
            .await
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use http::HeaderMap;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_token_is_found_by_its_digest_and_carries_its_scopes() {
        let digest = hex::encode(Sha256::digest("TOKEN"));
        let json = format!(
            r#"[{{"name":"web","sha256":"{digest}","scopes":["session:*"],"organisations":["acme"]}}]"#
        );
        let tokens = ServiceTokens::parse(&json).unwrap();
        let caller = tokens.caller(&headers("bearer TOKEN")).unwrap();
        assert_eq!(caller.name(), "web");
        assert!(caller.require(Scope::SessionCreate).is_ok());
        assert!(caller.require(Scope::EventsRead).is_err());
        assert!(caller.require_organisation(Some("acme")).is_ok());
        assert!(caller.require_organisation(Some("other")).is_err());
        assert!(caller.require_organisation(None).is_err());
    }

    #[test]
    fn a_wrong_or_malformed_token_is_nobody() {
        let tokens = ServiceTokens::none().with_full_access("dev", "TOKEN");
        for value in [
            "Bearer wrong",
            "Bearer",
            "Basic TOKEN",
            "TOKEN",
            "Bearer TOKENx",
        ] {
            assert!(tokens.caller(&headers(value)).is_none(), "{value}");
        }
        assert!(ServiceTokens::none().caller(&headers("Bearer ")).is_none());
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let error =
            ServiceTokens::parse(r#"[{"name":"web","sha256":"00","scopes":[]}]"#).unwrap_err();
        assert!(error.contains("web") && error.contains("64"), "{error}");
        let zeros = "0".repeat(64);
        let json = format!(r#"[{{"name":"web","sha256":"{zeros}","scopes":["all"]}}]"#);
        assert!(
            ServiceTokens::parse(&json)
                .unwrap_err()
                .contains("unknown scope `all`")
        );
    }

    #[test]
    fn an_entry_that_was_made_is_accepted_and_holds_no_token() {
        let scopes = ["ratelimit".to_owned(), "session:create".to_owned()];
        let entry = TokenEntry::new("web", "SECRET", &scopes, &["acme".to_owned()]).unwrap();
        let json = serde_json::to_string(&[entry]).unwrap();
        assert!(!json.contains("SECRET"), "{json}");
        let tokens = ServiceTokens::parse(&json).unwrap();
        let caller = tokens.caller(&headers("Bearer SECRET")).unwrap();
        assert!(caller.has(Scope::RateLimitAdmin) && caller.has(Scope::SessionCreate));
        assert!(!caller.has(Scope::SessionAdmin) && !caller.is_unrestricted());
        for scope in ["rate", "", "session:", "ratelimit:*:*"] {
            let error = TokenEntry::new("web", "SECRET", &[scope.to_owned()], &[]).unwrap_err();
            assert!(error.contains("unknown scope"), "{scope}: {error}");
        }
    }

    #[test]
    fn an_entry_has_a_digest_or_secrets_and_shows_neither() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let entry = |proof: &str| format!(r#"[{{"name":"web",{proof}"scopes":["*"]}}]"#);
        let signed = entry(&format!(r#""secrets":["{secret}"],"#));
        let tokens = ServiceTokens::parse(&signed).unwrap();
        assert!(tokens.signer("web", |_| Ok(())).is_ok());
        assert!(tokens.signer("other", |_| Ok(())).is_err());
        let wrong = tokens.signer("web", |_| Err(SignatureError::Mismatch));
        assert!(wrong.is_err());
        // What signs is not a token.
        assert!(
            tokens
                .caller(&headers(&format!("Bearer {secret}")))
                .is_none()
        );
        let entries: Vec<TokenEntry> = serde_json::from_str(&signed).unwrap();
        assert!(!format!("{entries:?}{tokens:?}").contains("MfKQ9"));
        let twice = format!("[{0},{0}]", &signed[1..signed.len() - 1]);
        let both = format!(r#""sha256":"{}","secrets":["{secret}"],"#, "0".repeat(64));
        for bad in [
            entry(""),
            entry(r#""secrets":["short"],"#),
            entry(&both),
            twice,
        ] {
            let error = ServiceTokens::parse(&bad).unwrap_err();
            assert!(error.contains("web") && !error.contains("short"), "{error}");
        }
    }

    #[test]
    fn debug_shows_names_only() {
        let tokens = ServiceTokens::none().with_full_access("dev", "SECRET");
        assert_eq!(format!("{tokens:?}"), r#"["dev"]"#);
    }
}

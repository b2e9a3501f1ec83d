//! Signed login assertions: whoever checked the credentials vouches for the user, once, for a minute.
//!
//! A JSON Web Token signed with HS256, so that every language can make one. Sources:
//! <https://www.rfc-editor.org/rfc/rfc7519>, <https://www.rfc-editor.org/rfc/rfc8725>.

use super::{LoginEpoch, NewSession, Rotation, User, secrets};
use crate::{Error, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::{fmt, sync::Arc, time::Duration};

/// The longest time between the issue of an assertion and its end.
pub const MAX_ASSERTION_AGE: Duration = Duration::from_secs(60);
/// How far the issuer's clock may be ahead.
const SKEW_S: u64 = 5;
const MIN_SECRET_BYTES: usize = 32;
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Whom assertions are for: a token made for something else is none.
const AUDIENCE: &str = "restis-session";

/// Why an assertion is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionError {
    /// Not an assertion, or not signed by a known secret.
    Invalid,
    /// It was valid once, or will be.
    Expired,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the login assertion is not valid",
            Self::Expired => "the login assertion has expired",
        })
    }
}

impl std::error::Error for AssertionError {}

/// Who signed in, as somebody else has verified it.
///
/// Its `Debug` shows no value.
#[derive(Clone)]
pub struct Assertion(Claims);

#[derive(Clone, Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: String,
    jti: String,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<Value>,
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion")
            .field("user", &self.0.sub)
            .finish_non_exhaustive()
    }
}

impl Assertion {
    /// An assertion for a user that the caller has authenticated.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn user(id: impl Into<String>) -> Result<Self> {
        let jti: [u8; 16] = secrets::random().map_err(|_| crate::Error::no_randomness())?;
        Ok(Self(Claims {
            aud: AUDIENCE.to_owned(),
            sub: id.into(),
            jti: URL_SAFE_NO_PAD.encode(jti),
            iat: 0,
            exp: 0,
            nbf: None,
            org: None,
            amr: Vec::new(),
            epoch: None,
            data: Map::new(),
        }))
    }

    /// Sets the organisation.
    #[must_use]
    pub fn organisation(mut self, id: impl Into<String>) -> Self {
        self.0.org = Some(id.into());
        self
    }

    /// Says by which methods the user was verified, e.g. `pwd`, `otp` (RFC 8176).
    #[must_use]
    pub fn authenticated_by(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.0.amr = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Sets one value of the session.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.data.insert(name.into(), value.into());
        self
    }

    /// Lets the login fail if "sign out everywhere" happened since this epoch was read.
    #[must_use]
    pub fn epoch(mut self, epoch: &LoginEpoch) -> Self {
        self.0.epoch = Some(epoch.as_str().to_owned());
        self
    }

    /// The user, of the organisation that it names.
    pub fn subject(&self) -> User<'_> {
        User::new(&self.0.sub).organisation(self.0.org.as_deref())
    }

    /// The login it stands for: good once.
    ///
    /// # Errors
    /// `Invalid` when the epoch in it is none.
    pub fn login(&self) -> Result<NewSession, AssertionError> {
        let claims = &self.0;
        let mut new = NewSession::user(&claims.sub)
            .authenticated_by(&claims.amr)
            .data(&claims.data)
            .once(&claims.jti);
        if let Some(organisation) = &claims.org {
            new = new.organisation(organisation);
        }
        if let Some(epoch) = &claims.epoch {
            new = new.epoch(LoginEpoch::parse(epoch).ok_or(AssertionError::Invalid)?);
        }
        Ok(new)
    }

    /// The new identifier that a session gets when its user was verified again: good once.
    ///
    /// # Errors
    /// `Invalid` when the epoch in it is none.
    pub fn step_up(&self) -> Result<Rotation, AssertionError> {
        let claims = &self.0;
        let mut rotation = Rotation::privilege()
            .authenticated_by(&claims.amr)
            .once(&claims.jti);
        if let Some(organisation) = &claims.org {
            rotation = rotation.organisation(organisation);
        }
        if let Some(epoch) = &claims.epoch {
            rotation = rotation.epoch(LoginEpoch::parse(epoch).ok_or(AssertionError::Invalid)?);
        }
        Ok(rotation)
    }
}

/// Secrets that sign assertions: the first signs, all of them verify.
#[derive(Clone)]
pub struct AssertionKeys(Arc<[Hmac<Sha256>]>);

impl fmt::Debug for AssertionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKeys({} secrets)", self.0.len())
    }
}

impl AssertionKeys {
    /// Secrets of at least 32 bytes, newest first. Use them for nothing else.
    ///
    /// # Errors
    /// `Config` when there is none, or one is short.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Self> {
        let key = |secret: S| match secret.as_ref() {
            long if long.len() >= MIN_SECRET_BYTES => Hmac::<Sha256>::new_from_slice(long)
                .map_err(|_| Error::config("not a usable assertion secret")),
            _ => Err(Error::config("an assertion secret has at least 32 bytes")),
        };
        let keys = secrets.into_iter().map(key).collect::<Result<Vec<_>>>()?;
        match keys.is_empty() {
            true => Err(Error::config("no assertion secret")),
            false => Ok(Self(keys.into())),
        }
    }

    /// The assertion as a JSON Web Token, good for [`MAX_ASSERTION_AGE`] from this time, unix milliseconds.
    pub fn sign(&self, assertion: &Assertion, now_ms: u64) -> String {
        let iat = now_ms / 1000;
        let claims = Claims {
            iat,
            exp: iat + MAX_ASSERTION_AGE.as_secs(),
            ..assertion.0.clone()
        };
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let signed = format!("{header}.{body}");
        let signature = self.0.first().map(|key| {
            let mut mac = key.clone();
            mac.update(signed.as_bytes());
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        });
        format!("{signed}.{}", signature.unwrap_or_default())
    }

    /// What a token asserts at a time, unix milliseconds; the signature is checked before anything else.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<Assertion, AssertionError> {
        let invalid = AssertionError::Invalid;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(invalid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid)?;
        let mut found = false;
        for key in self.0.iter() {
            let mut mac = key.clone();
            mac.update(signed.as_bytes());
            // Compares in constant time; every key is tried.
            found |= mac.verify_slice(&signature).is_ok();
        }
        if !found {
            return Err(invalid);
        }
        let (header, body) = signed.split_once('.').ok_or(invalid)?;
        let header: Header = json(header).ok_or(invalid)?;
        let claims: Claims = json(body).ok_or(invalid)?;
        // The algorithm is ours to choose, never the token's.
        if header.alg != "HS256" || header.crit.is_some() || claims.aud != AUDIENCE {
            return Err(invalid);
        }
        let longest = claims.iat.saturating_add(MAX_ASSERTION_AGE.as_secs());
        if claims.exp > longest || !(1..=128).contains(&claims.jti.len()) {
            return Err(invalid);
        }
        let now = now_ms / 1000;
        let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
        if now >= claims.exp || begins > now.saturating_add(SKEW_S) {
            return Err(AssertionError::Expired);
        }
        Ok(Assertion(claims))
    }
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const OLD: &str = "an old secret of at least 32 bytes";
    const NEW: &str = "a new secret of at least 32 bytes!";
    const NOW: u64 = 1_800_000_000_000;

    fn keys(secrets: &[&str]) -> AssertionKeys {
        AssertionKeys::new(secrets).unwrap()
    }

    /// Signed by the right key, whatever it says.
    fn signed(header: &str, claims: &Value) -> String {
        let parts = [header.to_owned(), claims.to_string()].map(|p| URL_SAFE_NO_PAD.encode(p));
        let signed = parts.join(".");
        let mut mac = Hmac::<Sha256>::new_from_slice(NEW.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        )
    }

    fn claims(change: impl FnOnce(&mut Value)) -> Value {
        let now = NOW / 1000;
        let mut claims = serde_json::json!({
            "aud": AUDIENCE, "sub": "u1", "jti": "1", "iat": now, "exp": now + 60,
        });
        change(&mut claims);
        claims
    }

    #[test]
    fn old_secrets_verify_and_other_ones_do_not() {
        let token = keys(&[OLD]).sign(&Assertion::user("u1").unwrap(), NOW);
        let read = keys(&[NEW, OLD]).verify(&token, NOW + 59_999).unwrap();
        assert_eq!(read.subject(), User::new("u1"));
        assert_eq!(
            keys(&[NEW]).verify(&token, NOW).unwrap_err(),
            AssertionError::Invalid
        );
        for at in 0..token.len() {
            let mut bad = token.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert!(keys(&[OLD]).verify(&bad, NOW).is_err(), "{at}");
        }
    }

    #[test]
    fn a_token_made_by_another_library_is_read() {
        let token = signed(r#"{"alg":"HS256"}"#, &claims(|_| ()));
        assert!(keys(&[NEW]).verify(&token, NOW).is_ok());
    }

    #[test]
    fn a_signed_token_is_refused_for_every_other_reason() {
        let verify = |token: &str| keys(&[NEW]).verify(token, NOW).unwrap_err();
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS512"}"#,
            "{}",
            r#"{"alg":"HS256","crit":["exp"]}"#,
        ] {
            assert_eq!(
                verify(&signed(header, &claims(|_| ()))),
                AssertionError::Invalid
            );
        }
        let now = NOW / 1000;
        let wrong: [(&str, Value, AssertionError); 7] = [
            ("aud", "events".into(), AssertionError::Invalid),
            ("exp", (now + 61).into(), AssertionError::Invalid),
            ("exp", now.into(), AssertionError::Expired),
            ("iat", (now + 6).into(), AssertionError::Expired),
            ("nbf", (now + 6).into(), AssertionError::Expired),
            ("jti", "".into(), AssertionError::Invalid),
            ("sub", Value::Null, AssertionError::Invalid),
        ];
        for (name, value, why) in wrong {
            let token = signed(r#"{"alg":"HS256"}"#, &claims(|c| c[name] = value));
            assert_eq!(verify(&token), why, "{name}");
        }
    }
}

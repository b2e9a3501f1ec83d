//! Session tokens and their cookie form.
//!
//! `v1.KEY.SECRET.ISSUED[.TAG].MAC`: key id, 256 random bits, the second of issue (hex),
//! a slot tag for Redis Cluster, and a signature. A cookie that was not signed here is refused
//! without asking the store, and so is one past the absolute lifetime.

use super::Secrets;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, time::Duration};
use subtle::ConstantTimeEq;

/// Which secret made a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) [u8; 6]);

impl KeyId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the store knows of a token: a keyed hash, 32 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; 32]);

impl Sid {
    pub(crate) fn from_digest(digest: &[u8; 32]) -> Self {
        let mut text = [0; 32];
        // 24 bytes are exactly 32 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(&digest[..24], &mut text);
        Self(text)
    }

    /// The stored form, if the text has its shape.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            .then_some(Self(bytes))
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first characters, for logs.
    pub fn prefix(&self) -> &str {
        self.as_str().get(..6).unwrap_or_default()
    }
}

/// The stored identifier in full. It is no secret, but logs need only its [`prefix`](Sid::prefix).
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", self.prefix())
    }
}

/// A slot tag for Redis Cluster.
pub(crate) type Tag = [u8; 12];

/// The secret that a browser holds; never logged, never stored.
#[derive(Clone)]
pub struct Token {
    pub(crate) secret: [u8; 32],
    pub(crate) key: KeyId,
    pub(crate) issued_s: u64,
    pub(crate) tag: Option<Tag>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a cookie value is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// Not the form of a token, or not signed by one of the secrets.
    Forged,
    /// Signed here, but older than the absolute lifetime.
    Expired,
}

impl Token {
    pub(crate) fn random(
        secrets: &Secrets,
        tag: Option<Tag>,
        issued_s: u64,
    ) -> Result<Self, getrandom::Error> {
        Ok(Self {
            secret: super::secrets::random()?,
            key: secrets.current(),
            issued_s,
            tag,
        })
    }

    /// Seconds since 1970 of the issue.
    pub fn issued_s(&self) -> u64 {
        self.issued_s
    }

    /// The cookie value. Keep it out of logs, bodies and addresses.
    pub fn expose(&self, secrets: &Secrets) -> String {
        let mut text = format!(
            "v1.{}.{}.{:x}",
            self.key.as_str(),
            URL_SAFE_NO_PAD.encode(self.secret),
            self.issued_s
        );
        if let Some(tag) = &self.tag {
            text.push('.');
            text.push_str(std::str::from_utf8(tag).unwrap_or_default());
        }
        // A token of a secret that is no longer known verifies nowhere: any signature will do.
        let mac = secrets.sign(self.key, &text).unwrap_or_default();
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(mac));
        text
    }

    /// Reads a cookie value; sends nothing to the store.
    ///
    /// # Errors
    /// [`TokenError`]; a caller without a valid signature learns nothing else.
    pub fn parse(
        text: &str,
        secrets: &Secrets,
        now_ms: u64,
        absolute: Duration,
    ) -> Result<Self, TokenError> {
        let forged = TokenError::Forged;
        if text.len() > 128 {
            return Err(forged);
        }
        let (signed, mac) = text.rsplit_once('.').ok_or(forged)?;
        let mut parts = signed.split('.');
        let (Some("v1"), Some(key), Some(secret), Some(issued)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(forged);
        };
        let tag = parts.next();
        if parts.next().is_some() {
            return Err(forged);
        }
        let key = KeyId(key.as_bytes().try_into().map_err(|_| forged)?);
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| forged)?;
        let expected = secrets.sign(key, signed).ok_or(forged)?;
        if !bool::from(expected.as_slice().ct_eq(&mac)) {
            return Err(forged);
        }
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| forged)?;
        let secret = secret.try_into().map_err(|_| forged)?;
        let issued_s = u64::from_str_radix(issued, 16).map_err(|_| forged)?;
        let tag = tag
            .map(|t| t.as_bytes().try_into())
            .transpose()
            .map_err(|_| forged)?;
        if now_ms / 1000 >= issued_s.saturating_add(absolute.as_secs()) {
            return Err(TokenError::Expired);
        }
        Ok(Self {
            secret,
            key,
            issued_s,
            tag,
        })
    }
}

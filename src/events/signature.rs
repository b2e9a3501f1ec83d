//! Signatures of webhooks as Standard Webhooks, both ways.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
use std::{fmt, sync::Arc};

use crate::{Error, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far the sender's clock may be off.
const TOLERANCE_S: u64 = 300;
const MAX_SIGNATURES: usize = 16;

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is missing or malformed.
    Malformed,
    /// The time is more than five minutes away.
    Time,
    /// No signature matches.
    Mismatch,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a signature header is missing or malformed",
            Self::Time => "the signature's time is too far away",
            Self::Mismatch => "no signature matches",
        })
    }
}

impl std::error::Error for SignatureError {}

/// Secrets of one webhook: the first signs too, all of them verify.
#[derive(Clone)]
pub struct WebhookKeys(Arc<[Hmac<Sha256>]>);

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKeys({} secrets)", self.0.len())
    }
}

impl WebhookKeys {
    /// Secrets `whsec_BASE64` of 24 to 64 bytes, current first, then older ones.
    ///
    /// # Errors
    /// `Config` when there is none or one is malformed.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut keys = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref().trim();
            let bytes = STANDARD
                .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
                .ok()
                .filter(|b| (24..=64).contains(&b.len()))
                .ok_or_else(|| {
                    Error::config("a webhook secret is whsec_ and base64 of 24 to 64 bytes")
                })?;
            keys.push(
                Hmac::<Sha256>::new_from_slice(&bytes)
                    .map_err(|_| Error::config("not a usable webhook secret"))?,
            );
        }
        if keys.is_empty() {
            return Err(Error::config("no webhook secret"));
        }
        Ok(Self(keys.into()))
    }

    /// The value of `webhook-signature`: one signature a secret, for rotation.
    pub fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let each = self.0.iter().map(|key| {
            let mac = over(key, id, timestamp_s, body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        each.collect::<Vec<_>>().join(" ")
    }

    /// Checks the three headers against the raw body.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now_s: u64,
    ) -> Result<(), SignatureError> {
        let timestamp_s: u64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
        // `ID.TIME.BODY` is signed: with such an id another message has the same text.
        let ends_in_time = id
            .rsplit_once('.')
            .is_some_and(|(_, last)| last.len() >= 9 && last.bytes().all(|b| b.is_ascii_digit()));
        if id.is_empty() || id.len() > 256 || ends_in_time {
            return Err(SignatureError::Malformed);
        }
        if timestamp_s.abs_diff(now_s) > TOLERANCE_S {
            return Err(SignatureError::Time);
        }
        let mut found = false;
        for signature in signatures.split(' ').take(MAX_SIGNATURES) {
            let Some(bytes) = signature
                .strip_prefix("v1,")
                .and_then(|s| STANDARD.decode(s).ok())
            else {
                continue;
            };
            for key in self.0.iter() {
                // Compares in constant time.
                found |= over(key, id, timestamp_s, body)
                    .verify_slice(&bytes)
                    .is_ok();
            }
        }
        if found {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }
}

fn over(key: &Hmac<Sha256>, id: &str, timestamp_s: u64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(id.as_bytes());
    mac.update(format!(".{timestamp_s}.").as_bytes());
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_published_example_has_the_published_signature() {
        let keys = WebhookKeys::new([SECRET]).unwrap();
        assert_eq!(
            keys.sign(ID, AT, BODY),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn one_matching_signature_of_several_is_enough() {
        let keys = WebhookKeys::new([SECRET]).unwrap();
        let good = keys.sign(ID, AT, BODY);
        let verify = |signatures: &str, body: &[u8], now| {
            keys.verify(ID, &AT.to_string(), signatures, body, now)
        };
        assert_eq!(verify(&format!("v1a,xx v1,AAAA {good}"), BODY, AT), Ok(()));
        assert_eq!(verify(&good, BODY, AT + 300), Ok(()));
        assert_eq!(verify(&good, BODY, AT + 301), Err(SignatureError::Time));
        assert_eq!(verify(&good, BODY, AT - 301), Err(SignatureError::Time));
        assert_eq!(verify(&good, b"{}", AT), Err(SignatureError::Mismatch));
        assert_eq!(verify("", BODY, AT), Err(SignatureError::Mismatch));
        assert_eq!(
            keys.verify(ID, "soon", &good, BODY, AT),
            Err(SignatureError::Malformed)
        );
    }

    #[test]
    fn during_a_rotation_both_sides_find_a_common_secret() {
        let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let both = WebhookKeys::new([new, SECRET]).unwrap();
        let old = WebhookKeys::new([SECRET]).unwrap();
        let at = AT.to_string();
        assert_eq!(
            old.verify(ID, &at, &both.sign(ID, AT, BODY), BODY, AT),
            Ok(())
        );
        assert_eq!(
            both.verify(ID, &at, &old.sign(ID, AT, BODY), BODY, AT),
            Ok(())
        );
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_is_never_shown() {
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_***"] {
            assert!(WebhookKeys::new([bad]).is_err(), "{bad}");
        }
        let shown = format!("{:?}", WebhookKeys::new([SECRET]).unwrap());
        assert_eq!(shown, "WebhookKeys(1 secrets)");
    }
}

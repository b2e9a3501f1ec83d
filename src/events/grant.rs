//! Short-lived signed permissions for some types of one history.
use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Environment, TypeFilter, keys::check_scope};
use crate::{Error, Result};

const MIN_SECRET_BYTES: usize = 32;
const MAX_TOKEN_BYTES: usize = 4096;

/// Why a grant is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantError {
    /// Not a grant, or not signed by a known secret.
    Invalid,
    /// It was valid once.
    Expired,
    /// It is for another environment.
    Environment,
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the grant is not valid",
            Self::Expired => "the grant has expired",
            Self::Environment => "the grant is for another environment",
        })
    }
}

impl std::error::Error for GrantError {}

/// What a holder may read, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose history; the shared one when absent.
    pub organisation: Option<String>,
    /// Which types may be read.
    pub types: TypeFilter,
    /// Which types an outbox may send.
    pub publish: TypeFilter,
    /// When it ends, unix milliseconds.
    pub expires_ms: u64,
    /// Who holds it, for logs.
    pub subject: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    env: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<String>,
    types: String,
    #[serde(rename = "pub", default, skip_serializing_if = "String::is_empty")]
    publish: String,
    exp: u64,
    sub: String,
}

/// Secrets that sign grants: the first signs, all of them verify.
#[derive(Clone)]
pub struct GrantKeys {
    keys: Arc<[Hmac<Sha256>]>,
    environment: Environment,
}

impl fmt::Debug for GrantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantKeys({} secrets)", self.keys.len())
    }
}

impl GrantKeys {
    /// Secrets of at least 32 bytes, newest first, for one environment.
    ///
    /// # Errors
    /// `Config` when there is none, or one is short.
    pub fn new<S: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
        environment: Environment,
    ) -> Result<Self> {
        let mut keys = Vec::new();
        for secret in secrets {
            if secret.as_ref().len() < MIN_SECRET_BYTES {
                return Err(Error::config("a grant secret has at least 32 bytes"));
            }
            keys.push(
                Hmac::<Sha256>::new_from_slice(secret.as_ref())
                    .map_err(|_| Error::config("not a usable grant secret"))?,
            );
        }
        if keys.is_empty() {
            return Err(Error::config("no grant secret"));
        }
        Ok(Self {
            keys: keys.into(),
            environment,
        })
    }

    /// The grant as a token: `g1.CLAIMS.SIGNATURE`.
    pub fn sign(&self, grant: &Grant) -> String {
        let claims = Claims {
            env: self.environment.name().to_owned(),
            org: grant.organisation.clone(),
            types: grant.types.to_string(),
            publish: if grant.publish.is_none() {
                String::new()
            } else {
                grant.publish.to_string()
            },
            exp: grant.expires_ms,
            sub: grant.subject.clone(),
        };
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let signed = format!("g1.{body}");
        let signature = self.keys.first().map(|key| {
            let mut mac = key.clone();
            mac.update(signed.as_bytes());
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        });
        format!("{signed}.{}", signature.unwrap_or_default())
    }

    /// What a token grants at a time, unix milliseconds.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<Grant, GrantError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(GrantError::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(GrantError::Invalid)?;
        let body = signed.strip_prefix("g1.").ok_or(GrantError::Invalid)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| GrantError::Invalid)?;
        let mut found = false;
        for key in self.keys.iter() {
            let mut mac = key.clone();
            mac.update(signed.as_bytes());
            // Compares in constant time; every key is tried.
            found |= mac.verify_slice(&signature).is_ok();
        }
        if !found {
            return Err(GrantError::Invalid);
        }
        let claims: Claims = URL_SAFE_NO_PAD
            .decode(body)
            .ok()
            .and_then(|b| serde_json::from_slice(&b).ok())
            .ok_or(GrantError::Invalid)?;
        if claims.env != self.environment.name() {
            return Err(GrantError::Environment);
        }
        if claims.exp <= now_ms {
            return Err(GrantError::Expired);
        }
        if claims
            .org
            .as_deref()
            .is_some_and(|o| check_scope(o).is_err())
        {
            return Err(GrantError::Invalid);
        }
        let parse = |types: &str| TypeFilter::parse(types).map_err(|_| GrantError::Invalid);
        Ok(Grant {
            organisation: claims.org,
            types: parse(&claims.types)?,
            publish: parse(&claims.publish)?,
            expires_ms: claims.exp,
            subject: claims.sub,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const OLD: &str = "an old secret of at least 32 bytes";
    const NEW: &str = "a new secret of at least 32 bytes!";

    fn keys(secrets: &[&str], environment: Environment) -> GrantKeys {
        GrantKeys::new(secrets, environment).unwrap()
    }

    fn grant() -> Grant {
        Grant {
            organisation: Some("acme".into()),
            types: TypeFilter::parse("booking.*,user.created").unwrap(),
            publish: TypeFilter::parse("note.*").unwrap(),
            expires_ms: 1000,
            subject: "user-1".into(),
        }
    }

    #[test]
    fn a_grant_is_what_was_signed_until_it_expires() {
        let keys = keys(&[NEW], Environment::Production);
        let token = keys.sign(&grant());
        assert_eq!(keys.verify(&token, 999), Ok(grant()));
        assert_eq!(keys.verify(&token, 1000), Err(GrantError::Expired));
        let reads = Grant {
            publish: TypeFilter::none(),
            ..grant()
        };
        assert_eq!(keys.verify(&keys.sign(&reads), 0), Ok(reads));
    }

    #[test]
    fn a_rotated_secret_is_still_accepted_and_another_is_not() {
        let token = keys(&[OLD], Environment::Production).sign(&grant());
        let both = keys(&[NEW, OLD], Environment::Production);
        assert_eq!(both.verify(&token, 0), Ok(grant()));
        let new = keys(&[NEW], Environment::Production);
        assert_eq!(new.verify(&token, 0), Err(GrantError::Invalid));
    }

    #[test]
    fn a_grant_holds_in_its_environment_only() {
        let token = keys(&[NEW], Environment::Staging).sign(&grant());
        let production = keys(&[NEW], Environment::Production);
        assert_eq!(production.verify(&token, 0), Err(GrantError::Environment));
    }

    #[test]
    fn no_byte_of_a_grant_may_change() {
        let keys = keys(&[NEW], Environment::Production);
        let token = keys.sign(&grant());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(keys.verify(&changed, 0), Err(GrantError::Invalid), "{at}");
        }
        for text in ["", ".", "g1.", "g1..", &"x".repeat(5000)] {
            assert_eq!(keys.verify(text, 0), Err(GrantError::Invalid));
        }
    }

    #[test]
    fn secrets_are_long_and_never_shown() {
        assert!(GrantKeys::new(["short"], Environment::Production).is_err());
        assert!(GrantKeys::new([""; 0], Environment::Production).is_err());
        let shown = format!("{:?}", keys(&[NEW], Environment::Production));
        assert!(!shown.contains("secret of"), "{shown}");
    }
}

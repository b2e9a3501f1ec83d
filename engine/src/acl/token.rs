//! Tokens of users: they carry the user's name and a secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const VERSION: u8 = 1;
const SECRET: usize = 32;
const CHECK: usize = 4;
/// The longest user name, as its length is one byte.
pub(crate) const MAX_NAME: usize = 200;

/// SHA-256 of a token.
pub(super) type Digested = [u8; 32];

/// A token that reads as one of ours; whether it opens anything is another question.
pub(crate) struct Token {
    user: String,
    digest: Digested,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A new token of a user, from random bytes or from a password.
    pub(crate) fn generate(user: &str, password: Option<&[u8]>) -> Option<String> {
        let mut secret = [0; SECRET];
        match password {
            None => getrandom::fill(&mut secret).ok()?,
            Some(password) => {
                let mut hash = Sha256::new();
                hash.update(b"restis user token\0");
                hash.update(user.as_bytes());
                hash.update(b"\0");
                hash.update(password);
                secret = hash.finalize().into();
            }
        }
        let mut bytes = vec![VERSION, u8::try_from(user.len()).ok()?];
        bytes.extend_from_slice(user.as_bytes());
        bytes.extend_from_slice(&secret);
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(&check[..CHECK]);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > (2 + MAX_NAME + SECRET + CHECK).div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        let [VERSION, length, rest @ ..] = body else {
            return None;
        };
        if Sha256::digest(body)[..CHECK] != *check || rest.len() != usize::from(*length) + SECRET {
            return None;
        }
        Some(Self {
            user: std::str::from_utf8(&rest[..usize::from(*length)])
                .ok()?
                .to_owned(),
            digest: Sha256::digest(text.as_bytes()).into(),
        })
    }

    /// The user the token names.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn digest(&self) -> Digested {
        self.digest
    }

    /// Compares in constant time.
    pub(super) fn is(&self, digest: &Digested) -> subtle::Choice {
        self.digest.ct_eq(digest)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_user_and_cannot_be_changed() {
        let token = Token::generate("bob", None).unwrap();
        assert_eq!(Token::parse(&token).unwrap().user(), "bob");
        let mut changed = token.clone().into_bytes();
        changed[5] ^= 1;
        assert!(Token::parse(std::str::from_utf8(&changed).unwrap()).is_none());
        assert_ne!(token, Token::generate("bob", None).unwrap());
        for other in ["", "x", "password", &token[1..]] {
            assert!(Token::parse(other).is_none());
        }
    }

    #[test]
    fn a_password_makes_the_same_token_again() {
        let of = |user, password: &str| Token::generate(user, Some(password.as_bytes())).unwrap();
        assert_eq!(of("bob", "pw"), of("bob", "pw"));
        assert_ne!(of("bob", "pw"), of("eve", "pw"));
        assert_ne!(of("bob", "pw"), of("bob", "other"));
    }
}

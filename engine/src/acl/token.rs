//! Tokens of users: they carry the database, the user's name and a secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const VERSION: u8 = 2;
const DATABASE: usize = 8;
const SECRET: usize = 32;
const CHECK: usize = 4;
/// The longest user name, as its length is one byte.
pub(crate) const MAX_NAME: usize = 200;

/// SHA-256 of a token.
pub(super) type Digested = [u8; 32];

/// Names a database within its tokens: derived from [`crate::Options::name`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DatabaseId([u8; DATABASE]);

impl DatabaseId {
    /// The id of the database with this name.
    pub fn of_name(name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"restis database\0");
        hash.update(name.as_bytes());
        let mut id = [0; DATABASE];
        id.copy_from_slice(&hash.finalize()[..DATABASE]);
        Self(id)
    }

    /// The database that a token of `ACL GENTOKEN` names; `None`: it is no such token.
    ///
    /// The name says where to look the token up; it proves nothing.
    pub fn of_token(token: &str) -> Option<Self> {
        Token::parse(token).map(|token| token.database)
    }
}

/// A token that reads as one of ours; whether it opens anything is another question.
pub(crate) struct Token {
    database: DatabaseId,
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
    pub(crate) fn generate(
        database: DatabaseId,
        user: &str,
        password: Option<&[u8]>,
    ) -> Option<String> {
        let mut secret = [0; SECRET];
        match password {
            None => getrandom::fill(&mut secret).ok()?,
            Some(password) => {
                let mut hash = Sha256::new();
                hash.update(b"restis user token\0");
                hash.update(database.0);
                hash.update([u8::try_from(user.len()).ok()?]);
                hash.update(user.as_bytes());
                hash.update(password);
                secret = hash.finalize().into();
            }
        }
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&database.0);
        bytes.push(u8::try_from(user.len()).ok()?);
        bytes.extend_from_slice(user.as_bytes());
        bytes.extend_from_slice(&secret);
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(&check[..CHECK]);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > (2 + DATABASE + MAX_NAME + SECRET + CHECK).div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        let [VERSION, rest @ ..] = body else {
            return None;
        };
        let (database, rest) = rest.split_first_chunk::<DATABASE>()?;
        let (length, rest) = rest.split_first()?;
        if Sha256::digest(body)[..CHECK] != *check || rest.len() != usize::from(*length) + SECRET {
            return None;
        }
        Some(Self {
            database: DatabaseId(*database),
            user: std::str::from_utf8(&rest[..usize::from(*length)])
                .ok()?
                .to_owned(),
            digest: Sha256::digest(text.as_bytes()).into(),
        })
    }

    /// Whether the token was made in this database.
    pub(crate) fn is_of(&self, database: DatabaseId) -> bool {
        self.database == database
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
        let database = DatabaseId::of_name("acme");
        let token = Token::generate(database, "bob", None).unwrap();
        assert_eq!(Token::parse(&token).unwrap().user(), "bob");
        assert_eq!(DatabaseId::of_token(&token), Some(database));
        let mut changed = token.clone().into_bytes();
        changed[5] ^= 1;
        assert!(Token::parse(std::str::from_utf8(&changed).unwrap()).is_none());
        assert_ne!(token, Token::generate(database, "bob", None).unwrap());
        for other in ["", "x", "password", &token[1..]] {
            assert!(Token::parse(other).is_none());
        }
    }

    #[test]
    fn a_password_makes_the_same_token_again() {
        let of = |database, user, password: &str| {
            let database = DatabaseId::of_name(database);
            Token::generate(database, user, Some(password.as_bytes())).unwrap()
        };
        assert_eq!(of("a", "bob", "pw"), of("a", "bob", "pw"));
        assert_ne!(of("a", "bob", "pw"), of("a", "eve", "pw"));
        assert_ne!(of("a", "bob", "pw"), of("a", "bob", "other"));
        assert_ne!(of("a", "bob", "pw"), of("b", "bob", "pw"));
    }
}

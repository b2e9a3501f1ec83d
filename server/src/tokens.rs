//! Which token opens which database, checked in constant time.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The SHA-256 of a token. Equality takes the same time wherever two digests differ.
///
/// The map finds a candidate by a hash with a random key, so that what a lookup's
/// time tells about a guess says nothing about the tokens.
struct Secret([u8; 32]);

impl Secret {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Tokens and what each of them opens.
pub(crate) struct TokenTable<T> {
    entries: HashMap<Secret, T>,
}

impl<T> TokenTable<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }

    /// Adds a token; returns `false` if it is known already.
    pub(crate) fn insert(&mut self, token: &str, value: T) -> bool {
        let secret = Secret::of(token.as_bytes());
        if self.entries.contains_key(&secret) {
            return false;
        }
        self.entries.insert(secret, value);
        true
    }

    /// What `token` opens.
    pub(crate) fn get(&self, token: &[u8]) -> Option<&T> {
        if token.is_empty() {
            return None;
        }
        self.entries.get(&Secret::of(token))
    }
}

impl<T> std::fmt::Debug for TokenTable<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenTable({} tokens)", self.entries.len())
    }
}

/// The token of an `Authorization: Bearer TOKEN` header.
pub(crate) fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| rest.trim_ascii())
        .filter(|token| !token.is_empty())
}

/// A new random token of 256 bits, in URL-safe letters.
///
/// # Errors
/// If the operating system has no randomness to give.
pub fn random_token() -> std::io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_the_exact_token_opens() {
        let mut table = TokenTable::new();
        assert!(table.insert("secret", 1));
        assert!(!table.insert("secret", 2));
        assert_eq!(table.get(b"secret"), Some(&1));
        for guess in ["", "secre", "secrets", "Secret"] {
            assert_eq!(table.get(guess.as_bytes()), None);
        }
        assert_eq!(format!("{table:?}"), "TokenTable(1 tokens)");
    }

    #[test]
    fn bearer_headers() {
        assert_eq!(bearer(b"Bearer abc"), Some(b"abc".as_slice()));
        assert_eq!(bearer(b"bearer  abc "), Some(b"abc".as_slice()));
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(bearer(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn random_tokens_differ() {
        let token = random_token().unwrap();
        assert_eq!(token.len(), 43);
        assert_ne!(token, random_token().unwrap());
    }
}

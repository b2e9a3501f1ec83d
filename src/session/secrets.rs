//! The keys behind sessions: cookie signature, stored hash, successors, tokens against forgery.

use super::{Sid, Token, token::KeyId, user::User};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{fmt, sync::Arc};

/// The least bytes of a secret.
pub const MIN_SECRET_BYTES: usize = 32;
/// The most secrets that are accepted at once.
pub const MAX_SECRETS: usize = 8;

type Key = Hmac<Sha256>;

/// Secrets in use, newest first: the first signs, all of them verify.
///
/// To rotate, put a new secret in front and keep the old ones for the absolute session lifetime;
/// nobody is signed out. Every secret derives separate keys for separate purposes, and its own id,
/// so the order and the number may differ between instances while a change is rolled out.
#[derive(Clone)]
pub struct Secrets(Arc<[Secret]>);

struct Secret {
    id: KeyId,
    pepper: Key,
    cookie: Key,
    successor: Key,
    login: Key,
    forgery: Key,
    field: [u8; 32],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|s| s.id)).finish()
    }
}

fn keyed(key: &[u8]) -> Key {
    // HMAC takes keys of every length: the error cannot occur.
    Key::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC accepts every key length"))
}

fn digest(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Secret {
    fn new(master: &[u8]) -> Self {
        let master = keyed(master);
        let derive = |purpose: &str| digest(&master, &[b"restis session", purpose.as_bytes()]);
        let mut id = [0; 6];
        let text = URL_SAFE_NO_PAD.encode(&derive("id")[..6]);
        id.copy_from_slice(&text.as_bytes()[..6]);
        Self {
            id: KeyId(id),
            pepper: keyed(&derive("pepper")),
            cookie: keyed(&derive("cookie")),
            successor: keyed(&derive("successor")),
            login: keyed(&derive("login")),
            forgery: keyed(&derive("forgery")),
            field: derive("field"),
        }
    }
}

impl Secrets {
    /// Takes the secrets, newest first.
    ///
    /// # Errors
    /// Says what is wrong: none, too many, one shorter than [`MIN_SECRET_BYTES`], one given twice.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let mut ring: Vec<Secret> = Vec::new();
        for (i, secret) in secrets.into_iter().enumerate() {
            let secret = secret.as_ref();
            if secret.len() < MIN_SECRET_BYTES {
                return Err(format!(
                    "secret {} is shorter than {MIN_SECRET_BYTES} bytes",
                    i + 1
                ));
            }
            if i == MAX_SECRETS {
                return Err(format!("more than {MAX_SECRETS} secrets"));
            }
            let secret = Secret::new(secret);
            if ring.iter().any(|s| s.id == secret.id) {
                return Err(format!("secret {} is given twice", i + 1));
            }
            ring.push(secret);
        }
        if ring.is_empty() {
            return Err("no secret".to_owned());
        }
        Ok(Self(ring.into()))
    }

    /// A random secret that ends with the process: for development and tests.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> Result<Self, String> {
        let secret: [u8; 32] = random().map_err(|e| e.to_string())?;
        Self::new([secret])
    }

    fn first(&self) -> &Secret {
        // Not empty by construction.
        &self.0[0]
    }

    fn get(&self, id: KeyId) -> Option<&Secret> {
        self.0.iter().find(|s| s.id == id)
    }

    /// The id of the secret that signs.
    pub(crate) fn current(&self) -> KeyId {
        self.first().id
    }

    /// What is stored instead of the token.
    pub(crate) fn sid(&self, token: &Token) -> Option<Sid> {
        let secret = self.get(token.key)?;
        Some(Sid::from_digest(&digest(&secret.pepper, &[&token.secret])))
    }

    pub(crate) fn sign(&self, key: KeyId, text: &str) -> Option<[u8; 16]> {
        let full = digest(&self.get(key)?.cookie, &[text.as_bytes()]);
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Some(short)
    }

    /// The token that follows on this one; the same for every holder of it.
    pub(crate) fn successor(&self, token: &Token, issued_s: u64) -> Token {
        Self::successor_under(self.first(), token, issued_s)
    }

    fn successor_under(secret: &Secret, token: &Token, issued_s: u64) -> Token {
        Token {
            secret: digest(&secret.successor, &[&token.secret]),
            key: secret.id,
            issued_s,
            tag: token.tag,
        }
    }

    /// The successor whose stored form is known; instances may have signed with another secret.
    pub(crate) fn find_successor(&self, token: &Token, sid: &str, issued_s: u64) -> Option<Token> {
        let candidates = self
            .0
            .iter()
            .map(|s| Self::successor_under(s, token, issued_s));
        candidates
            .into_iter()
            .find(|t| self.sid(t).is_some_and(|s| s.as_str() == sid))
    }

    /// The token of a login that is recognised when it is repeated.
    pub(crate) fn login_tokens<'a>(
        &'a self,
        marker: &'a str,
        nonce: &'a str,
    ) -> impl Iterator<Item = ([u8; 32], KeyId)> + 'a {
        let parts: [&[u8]; 3] = [b"token", marker.as_bytes(), nonce.as_bytes()];
        self.0.iter().map(move |s| (digest(&s.login, &parts), s.id))
    }

    /// What marks a login that is recognised when it is repeated, or is good once.
    pub(crate) fn login_marker(user: User<'_>, key: &[&str]) -> String {
        // No organisation is empty: what has none is no organisation's.
        let owner = [user.organisation_id().unwrap_or_default(), user.id()];
        let parts: Vec<&[u8]> = owner.iter().chain(key).map(|p| p.as_bytes()).collect();
        let name = digest(&keyed(b"restis session login"), &parts);
        URL_SAFE_NO_PAD.encode(&name[..18])
    }

    /// The token against cross-site requests that belongs to a session token.
    pub(crate) fn forgery(&self, token: &Token) -> Option<[u8; 16]> {
        let full = digest(&self.get(token.key)?.forgery, &[&token.secret]);
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Some(short)
    }

    /// The key that seals fields now.
    #[cfg_attr(
        not(feature = "encryption"),
        allow(dead_code, reason = "only sealing uses it")
    )]
    pub(crate) fn field_key(&self) -> (KeyId, &[u8; 32]) {
        (self.first().id, &self.first().field)
    }

    /// The key that sealed a field.
    #[cfg_attr(
        not(feature = "encryption"),
        allow(dead_code, reason = "only sealing uses it")
    )]
    pub(crate) fn field_key_of(&self, id: &[u8]) -> Option<&[u8; 32]> {
        self.0.iter().find(|s| s.id.0 == id).map(|s| &s.field)
    }
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

//! Application values: JSON per field, sealed if asked.

use super::{Secrets, error};
use crate::Result;
use serde::{Serialize, de::DeserializeOwned};

/// The most bytes of a field's name.
pub const MAX_NAME_BYTES: usize = 64;

/// Whether application values are encrypted in the store.
///
/// Sealing needs the feature `encryption`: XChaCha20-Poly1305 under a key derived from the
/// session secrets, bound to the session, its user and the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encryption {
    /// Plain JSON.
    #[default]
    Off,
    /// Seals every write; refuses to read plain values.
    #[cfg(feature = "encryption")]
    Required,
    /// Seals every write; still reads plain values. For the time after switching on.
    #[cfg(feature = "encryption")]
    Migrating,
}

/// Which session a value belongs to.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "only sealing binds a value to them")
)]
pub(crate) struct Owner<'a> {
    pub(crate) public_id: &'a str,
    pub(crate) user: Option<&'a str>,
}

/// Turns application values into stored text and back.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    #[cfg_attr(
        not(feature = "encryption"),
        allow(dead_code, reason = "only sealing uses it")
    )]
    secrets: Secrets,
    encryption: Encryption,
    max_bytes: usize,
}

impl Codec {
    pub(crate) fn new(secrets: Secrets, encryption: Encryption, max_bytes: usize) -> Self {
        Self {
            secrets,
            encryption,
            max_bytes,
        }
    }

    /// The stored form of a JSON text.
    pub(crate) fn write(&self, owner: Owner<'_>, field: &str, json: &str) -> Result<String> {
        check_name(field)?;
        if json.len() > self.max_bytes {
            return Err(error::too_large(format!(
                "a session value has at most {} bytes as JSON",
                self.max_bytes
            )));
        }
        match self.encryption {
            Encryption::Off => {
                let _ = owner;
                Ok(json.to_owned())
            }
            #[cfg(feature = "encryption")]
            Encryption::Required | Encryption::Migrating => {
                sealed::seal(&self.secrets, owner, field, json)
            }
        }
    }

    /// The JSON text of a stored form.
    pub(crate) fn read(&self, owner: Owner<'_>, field: &str, stored: &str) -> Result<String> {
        #[cfg(feature = "encryption")]
        if let Some(body) = stored.strip_prefix(sealed::MARK) {
            return sealed::open(&self.secrets, owner, field, body);
        }
        let _ = (owner, field);
        match self.encryption {
            #[cfg(feature = "encryption")]
            Encryption::Required => Err(error::decode("a session value is not sealed")),
            _ => Ok(stored.to_owned()),
        }
    }
}

/// Refuses names that are empty, long, or hold control characters.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(error::invalid(
            "a session field's name must have 1 to 64 bytes and no control characters",
        ));
    }
    Ok(())
}

pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|_| error::invalid("a session value cannot be written as JSON"))
}

pub(crate) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T> {
    // The cause is left out: serde quotes the value.
    serde_json::from_str(json)
        .map_err(|_| error::decode("a session value does not have the type asked for"))
}

#[cfg(feature = "encryption")]
mod sealed {
    use super::{Owner, Result, Secrets, error};
    use crate::session::secrets::random;
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use chacha20poly1305::{
        KeyInit, XChaCha20Poly1305, XNonce,
        aead::{Aead, Payload},
    };

    /// No JSON text starts like this.
    pub(super) const MARK: &str = "x1.";
    const NONCE: usize = 24;

    /// Length-prefixed, so that no two owners or fields read the same.
    fn bound_to(owner: Owner<'_>, field: &str) -> Vec<u8> {
        let mut out = b"restis session field 1".to_vec();
        for part in [owner.public_id, owner.user.map_or("", |u| u), field] {
            out.extend((part.len() as u64).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out
    }

    pub(super) fn seal(
        secrets: &Secrets,
        owner: Owner<'_>,
        field: &str,
        json: &str,
    ) -> Result<String> {
        let (id, key) = secrets.field_key();
        let nonce: [u8; NONCE] = random().map_err(|_| crate::Error::no_randomness())?;
        let payload = Payload {
            msg: json.as_bytes(),
            aad: &bound_to(owner, field),
        };
        let sealed = XChaCha20Poly1305::new(key.into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| error::invalid("a session value cannot be sealed"))?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(format!(
            "{MARK}{}.{}",
            id.as_str(),
            URL_SAFE_NO_PAD.encode(bytes)
        ))
    }

    pub(super) fn open(
        secrets: &Secrets,
        owner: Owner<'_>,
        field: &str,
        body: &str,
    ) -> Result<String> {
        let failed = || error::decode("a sealed session value does not open");
        let (id, body) = body.split_once('.').ok_or_else(failed)?;
        let key = secrets.field_key_of(id.as_bytes()).ok_or_else(failed)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| failed())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or_else(failed)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| failed())?;
        let payload = Payload {
            msg: sealed,
            aad: &bound_to(owner, field),
        };
        let json = XChaCha20Poly1305::new(key.into())
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_| failed())?;
        String::from_utf8(json).map_err(|_| failed())
    }
}

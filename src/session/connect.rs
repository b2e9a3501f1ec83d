//! Sessions of a Node application: `express-session` with `connect-redis`.
//!
//! Reads and writes the same keys (`sess:ID`), the same JSON and the same signed cookie, so that
//! Rust functions can take part in the sessions of an Express application.
//!
//! Limits, which come from the format: the identifier itself is the key; there is no list of a
//! user's sessions; the value is one JSON text. A change from here is refused if the text changed
//! since it was read, and never brings a session back; a change from Node overwrites whatever is
//! there, and can bring a session back after sign-out. For new applications use
//! [`Sessions`](super::Sessions).

use super::{error, secrets};
use crate::{Redis, Result};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::{fmt, sync::Arc, time::Duration};

script_call! {
    Save<'a> = "lua/connect_save.lua"
    keys { session_key }
    args { seen: &'a str, new_text: &'a str, ttl_ms: u64 }
}

/// The most bytes of a session's JSON.
const MAX_BYTES: usize = 1024 * 1024;

/// Access to the sessions of an Express application; cheap to clone.
#[derive(Clone)]
pub struct ConnectSessions {
    redis: Redis,
    secrets: Arc<[Hmac<Sha256>]>,
    prefix: Arc<str>,
    ttl: Duration,
}

impl fmt::Debug for ConnectSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectSessions")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// One session of an Express application. Its `Debug` shows neither identifier nor values.
#[derive(Clone)]
pub struct ConnectSession {
    id: String,
    text: String,
    values: Map<String, Value>,
}

impl fmt::Debug for ConnectSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectSession(…)")
    }
}

/// What came of saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// Saved.
    Done,
    /// Nothing changed: somebody else saved since it was loaded. Load again.
    Conflict,
    /// Nothing changed: the session is gone. It stays gone.
    Gone,
}

impl ConnectSessions {
    /// Sessions under `sess:` that live 24 h; the first secret signs, all verify, as in `express-session`.
    ///
    /// # Errors
    /// `Config` without a secret.
    pub fn new<S: AsRef<[u8]>>(redis: Redis, secrets: impl IntoIterator<Item = S>) -> Result<Self> {
        let keys: std::result::Result<Vec<_>, _> = secrets
            .into_iter()
            .map(|s| Hmac::new_from_slice(s.as_ref()))
            .collect();
        let keys = keys.unwrap_or_default();
        if keys.is_empty() {
            return Err(error::config(&["no secret".to_owned()]));
        }
        Ok(Self {
            redis,
            secrets: keys.into(),
            prefix: "sess:".into(),
            ttl: Duration::from_secs(86_400),
        })
    }

    /// Sets the `prefix` option of `connect-redis`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the `ttl` option of `connect-redis`, 1 s or more.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.max(Duration::from_secs(1));
        self
    }

    fn sign(&self, id: &str) -> String {
        let mut mac = self.secrets[0].clone();
        mac.update(id.as_bytes());
        STANDARD_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Reads the value of the `connect.sid` cookie; `None` unless one of the secrets signed it.
    pub fn id_of_cookie(&self, value: &str) -> Option<String> {
        if value.len() > 512 {
            return None;
        }
        let decoded = percent_decode_str(value).decode_utf8().ok()?;
        let (id, signature) = decoded.strip_prefix("s:")?.rsplit_once('.')?;
        let signature = STANDARD_NO_PAD.decode(signature).ok()?;
        let signed = self.secrets.iter().any(|key| {
            let mut mac = key.clone();
            mac.update(id.as_bytes());
            mac.verify_slice(&signature).is_ok()
        });
        (signed && is_id(id)).then(|| id.to_owned())
    }

    /// The value of the `connect.sid` cookie for a session.
    pub fn cookie_of(&self, session: &ConnectSession) -> String {
        let text = format!("s:{}.{}", session.id, self.sign(&session.id));
        utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    /// Loads a session.
    ///
    /// # Errors
    /// `Decode` when it is no JSON object; otherwise when the store does not answer.
    pub async fn load(&self, id: &str) -> Result<Option<ConnectSession>> {
        if !is_id(id) {
            return Ok(None);
        }
        let text: Option<String> = self.redis.command("GET").arg(self.key(id)).query().await?;
        let Some(text) = text else { return Ok(None) };
        let values = serde_json::from_str(&text)
            .map_err(|_| error::decode("a shared session is no JSON object"))?;
        Ok(Some(ConnectSession {
            id: id.to_owned(),
            text,
            values,
        }))
    }

    /// Creates a session as `express-session` does, without expiry in its cookie.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn create(&self, data: &Map<String, Value>) -> Result<ConnectSession> {
        let id: [u8; 24] = secrets::random().map_err(|_| crate::Error::no_randomness())?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let mut values = data.clone();
        values.insert(
            "cookie".to_owned(),
            serde_json::json!({ "originalMaxAge": null, "expires": null, "httpOnly": true, "path": "/" }),
        );
        let text = render(&values)?;
        let ttl = self.ttl.as_millis() as u64;
        let set = self
            .redis
            .command("SET")
            .arg(self.key(&id))
            .arg(&text)
            .arg("NX")
            .arg("PX")
            .arg(ttl);
        let done: Option<String> = set.query().await?;
        done.ok_or_else(|| error::decode("no free session identifier"))?;
        Ok(ConnectSession { id, text, values })
    }

    /// Saves a session unless somebody else did since it was loaded; never brings it back.
    ///
    /// # Errors
    /// `TooLarge` above 1 MiB; otherwise when the store does not answer.
    pub async fn save(&self, session: &mut ConnectSession) -> Result<Saved> {
        let text = render(&session.values)?;
        let call = Save {
            session_key: &self.key(&session.id),
            seen: &session.text,
            new_text: &text,
            ttl_ms: self.ttl.as_millis() as u64,
        };
        let word: String = call.call().run(&self.redis).await?;
        Ok(match word.as_str() {
            "OK" => {
                session.text = text;
                Saved::Done
            }
            "GONE" => Saved::Gone,
            _ => Saved::Conflict,
        })
    }

    /// Extends a session; `false` if it is gone.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn touch(&self, session: &ConnectSession) -> Result<bool> {
        let ttl = self.ttl.as_millis() as u64;
        self.redis
            .command("PEXPIRE")
            .arg(self.key(&session.id))
            .arg(ttl)
            .query()
            .idempotent()
            .await
    }

    /// Ends a session; `false` if it was gone.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn destroy(&self, session: &ConnectSession) -> Result<bool> {
        self.redis
            .command("DEL")
            .arg(self.key(&session.id))
            .query()
            .idempotent()
            .await
    }
}

impl ConnectSession {
    /// One value.
    ///
    /// # Errors
    /// `Decode` when it is not of this type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.values.get(name) else {
            return Ok(None);
        };
        T::deserialize(value)
            .map(Some)
            .map_err(|_| error::decode("a session value does not have the type asked for"))
    }

    /// Sets a value; [`ConnectSessions::save`] writes it. `cookie` belongs to `express-session`.
    ///
    /// # Errors
    /// `InvalidInput` for `cookie` and for what cannot be JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        if name == "cookie" {
            return Err(error::invalid(
                "the value `cookie` belongs to express-session",
            ));
        }
        let value = serde_json::to_value(value)
            .map_err(|_| error::invalid("a session value cannot be written as JSON"))?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Removes a value; [`ConnectSessions::save`] writes it.
    pub fn remove(&mut self, name: &str) {
        if name != "cookie" {
            self.values.remove(name);
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn render(values: &Map<String, Value>) -> Result<String> {
    let text = serde_json::to_string(values)
        .map_err(|_| error::invalid("a session cannot be written as JSON"))?;
    if text.len() > MAX_BYTES {
        return Err(error::too_large("a shared session is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn signatures_are_those_of_the_node_package() {
        let redis = Redis::builder("https://example.upstash.io", "TOKEN")
            .build()
            .unwrap();
        // The published example of the package `cookie-signature`.
        let node = ConnectSessions::new(redis.clone(), ["new", "tobiiscool"]).unwrap();
        let cookie = "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI";
        assert_eq!(node.id_of_cookie(cookie).as_deref(), Some("hello"));
        assert_eq!(
            ConnectSessions::new(redis.clone(), ["other"])
                .unwrap()
                .id_of_cookie(cookie),
            None
        );
        for bad in [
            "",
            "hello",
            "s:hello",
            "s:hello.",
            "s%3Ahellp.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI",
        ] {
            assert_eq!(node.id_of_cookie(bad), None, "{bad}");
        }
        assert!(ConnectSessions::new(redis, Vec::<String>::new()).is_err());
    }
}

//! A session as it was loaded.

use super::{
    Sid, Token, codec,
    codec::{Codec, Owner},
    config::Lifetimes,
    device::family,
    error,
    user::{OwnedUser, User},
};
use crate::Result;
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, fmt, time::Duration};

/// Names of the fields of a stored session.
pub(crate) mod field {
    pub(crate) const VERSION: &str = "v";
    pub(crate) const USER: &str = "u";
    pub(crate) const ORGANISATION: &str = "o";
    pub(crate) const CREATED: &str = "c";
    pub(crate) const USED: &str = "l";
    pub(crate) const ROTATED: &str = "r";
    pub(crate) const END: &str = "x";
    pub(crate) const IDLE: &str = "i";
    pub(crate) const PUBLIC_ID: &str = "p";
    pub(crate) const AUTH: &str = "a";
    pub(crate) const DEVICE: &str = "dv";
    pub(crate) const LABEL: &str = "ua";
    pub(crate) const NETWORK: &str = "ip";
    pub(crate) const SUCCESSOR: &str = "n";
    pub(crate) const GRACE: &str = "g";
    /// Prefix of application values.
    pub(crate) const DATA: &str = "d:";
    /// Prefix of counters.
    pub(crate) const COUNTER: &str = "c:";
    /// Prefix of values that are read once.
    pub(crate) const FLASH: &str = "f:";
}

/// How and when the user proved who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentication {
    pub(crate) at_ms: u64,
    pub(crate) methods: String,
}

impl Authentication {
    /// When, in milliseconds since 1970; 0 if never.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// By which methods, e.g. `pwd`, `otp` (RFC 8176).
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.split(' ').filter(|m| !m.is_empty())
    }

    pub(crate) fn render(&self) -> String {
        format!("{} {}", self.at_ms, self.methods)
    }

    pub(crate) fn parse(text: &str) -> Self {
        let (at, methods) = text.split_once(' ').unwrap_or((text, ""));
        Self {
            at_ms: at.parse().unwrap_or(0),
            methods: methods.to_owned(),
        }
    }
}

/// A live session: who, since when, and the application's values.
///
/// A snapshot: it does not follow later changes. Its `Debug` shows no token and no value.
#[derive(Clone)]
pub struct Session {
    pub(crate) token: Token,
    pub(crate) sid: Sid,
    pub(crate) core: Core,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) new_cookie: bool,
    values: BTreeMap<String, String>,
    codec: Codec,
}

/// The facts that the store itself keeps.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) version: u64,
    pub(crate) user: Option<String>,
    pub(crate) organisation: Option<String>,
    pub(crate) created_ms: u64,
    pub(crate) used_ms: u64,
    pub(crate) rotated_ms: u64,
    pub(crate) end_ms: u64,
    pub(crate) idle: Option<Duration>,
    pub(crate) public_id: String,
    pub(crate) authentication: Authentication,
    pub(crate) device_id: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) network: Option<String>,
}

/// What the store holds under a session's key.
#[derive(Debug)]
pub(crate) enum SessionState {
    Live(Core, BTreeMap<String, String>),
    /// The identifier was rotated; `grace_end_ms` 0 = it died at once.
    Moved {
        successor: String,
        grace_end_ms: u64,
        user: Option<OwnedUser>,
    },
    Missing,
}

impl SessionState {
    pub(crate) fn parse(mut fields: BTreeMap<String, String>) -> Result<Self> {
        if fields.is_empty() {
            return Ok(Self::Missing);
        }
        if let Some(successor) = fields.remove(field::SUCCESSOR) {
            let grace_end_ms = fields
                .get(field::GRACE)
                .and_then(|g| g.parse().ok())
                .unwrap_or(0);
            let (id, organisation) = (field::USER, field::ORGANISATION);
            let user = OwnedUser::from_fields(fields.remove(id), fields.remove(organisation));
            return Ok(Self::Moved {
                successor,
                grace_end_ms,
                user,
            });
        }
        let core = Core::parse(&mut fields)?;
        Ok(Self::Live(core, fields))
    }
}

impl Core {
    /// A record without its core facts is damage, never an empty session: the next write would make it worse.
    pub(crate) fn parse(fields: &mut BTreeMap<String, String>) -> Result<Self> {
        let damaged = || error::decode("a stored session is damaged");
        let mut number = |name: &str| fields.remove(name).and_then(|v| v.parse::<u64>().ok());
        let version = number(field::VERSION).ok_or_else(damaged)?;
        let created_ms = number(field::CREATED).ok_or_else(damaged)?;
        let used_ms = number(field::USED).ok_or_else(damaged)?;
        let end_ms = number(field::END).ok_or_else(damaged)?;
        let rotated_ms = number(field::ROTATED).unwrap_or(created_ms);
        let idle = number(field::IDLE).map(Duration::from_millis);
        let mut text = |name: &str| fields.remove(name);
        Ok(Self {
            version,
            created_ms,
            used_ms,
            rotated_ms,
            end_ms,
            idle,
            user: text(field::USER),
            organisation: text(field::ORGANISATION),
            public_id: text(field::PUBLIC_ID).ok_or_else(damaged)?,
            authentication: text(field::AUTH)
                .map(|a| Authentication::parse(&a))
                .unwrap_or_default(),
            device_id: text(field::DEVICE),
            label: text(field::LABEL),
            network: text(field::NETWORK),
        })
    }

    /// When the session ends if nothing happens.
    pub(crate) fn expires_ms(&self, idle: Duration) -> u64 {
        self.end_ms
            .min(self.used_ms.saturating_add(idle.as_millis() as u64))
    }
}

impl Session {
    pub(crate) fn new(
        token: Token,
        sid: Sid,
        core: Core,
        lifetimes: Lifetimes,
        values: BTreeMap<String, String>,
        codec: Codec,
    ) -> Self {
        Self {
            token,
            sid,
            core,
            lifetimes,
            new_cookie: false,
            values,
            codec,
        }
    }

    /// The token; it is a secret of the browser.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Whose session it is; `None` for a visitor's.
    pub fn subject(&self) -> Option<User<'_>> {
        let user = User::new(self.core.user.as_deref()?);
        Some(user.organisation(self.core.organisation.as_deref()))
    }

    /// The stored identifier.
    pub fn sid(&self) -> Sid {
        self.sid
    }

    /// Whether the browser must be given a new cookie: the identifier changed.
    pub fn needs_cookie(&self) -> bool {
        self.new_cookie
    }

    /// The id that lists and logs may show; it survives rotation.
    pub fn public_id(&self) -> &str {
        &self.core.public_id
    }

    /// The user, `None` before signing in.
    pub fn user(&self) -> Option<&str> {
        self.core.user.as_deref()
    }

    /// The organisation.
    pub fn organisation(&self) -> Option<&str> {
        self.core.organisation.as_deref()
    }

    /// Grows with every change of the data.
    pub fn version(&self) -> u64 {
        self.core.version
    }

    /// The entity tag of this version.
    pub fn etag(&self) -> String {
        format!("\"v{}\"", self.core.version)
    }

    /// When it was created, milliseconds since 1970.
    pub fn created_ms(&self) -> u64 {
        self.core.created_ms
    }

    /// When it was last extended, milliseconds since 1970.
    pub fn used_ms(&self) -> u64 {
        self.core.used_ms
    }

    /// When it ends without further use, milliseconds since 1970.
    pub fn expires_ms(&self) -> u64 {
        self.core.expires_ms(self.idle())
    }

    /// When it ends in any case, milliseconds since 1970.
    pub fn ends_ms(&self) -> u64 {
        self.core.end_ms
    }

    /// How long it may rest.
    pub fn idle(&self) -> Duration {
        self.core.idle.unwrap_or(self.lifetimes.idle)
    }

    /// How and when the user signed in.
    pub fn authentication(&self) -> &Authentication {
        &self.core.authentication
    }

    /// Whether the user proved who they are within this time; asks for a new proof otherwise.
    pub fn is_fresh(&self, max_age: Duration, now_ms: u64) -> bool {
        let at = self.core.authentication.at_ms;
        at > 0 && now_ms.saturating_sub(at) <= max_age.as_millis() as u64
    }

    /// The device's label.
    pub fn device_label(&self) -> Option<&str> {
        self.core.label.as_deref()
    }

    /// The application's id of the device.
    pub fn device_id(&self) -> Option<&str> {
        self.core.device_id.as_deref()
    }

    /// The network it was created from.
    pub fn network(&self) -> Option<&str> {
        self.core.network.as_deref()
    }

    /// Whether another browser or platform uses it now. A hint to look closer, no proof of theft.
    pub fn device_differs(&self, device: &super::Device) -> bool {
        match (&self.core.label, &device.label) {
            (Some(then), Some(now)) => family(then) != family(now),
            _ => false,
        }
    }

    /// Whether it is time to extend it.
    pub fn needs_touch(&self, now_ms: u64) -> bool {
        let every = self.lifetimes.touch_for(self.idle());
        now_ms.saturating_sub(self.core.used_ms) >= every.as_millis() as u64
    }

    /// Whether it is time to renew its identifier.
    pub fn needs_rotation(&self, now_ms: u64) -> bool {
        self.lifetimes.rotate_every.is_some_and(|every| {
            now_ms.saturating_sub(self.core.rotated_ms) >= every.as_millis() as u64
        })
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner {
            public_id: &self.core.public_id,
            user: self.core.user.as_deref(),
        }
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    /// One value.
    ///
    /// # Errors
    /// `Decode` when it is not of this type or does not open.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.json(name)?
            .map(|json| codec::from_json(&json))
            .transpose()
    }

    /// One value as JSON text.
    ///
    /// # Errors
    /// `Decode` when it does not open.
    pub fn json(&self, name: &str) -> Result<Option<String>> {
        let Some(stored) = self.values.get(&format!("{}{name}", field::DATA)) else {
            return Ok(None);
        };
        self.codec.read(self.owner(), name, stored).map(Some)
    }

    /// All values as one typed structure.
    ///
    /// # Errors
    /// `Decode` when they do not fit.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        let object = serde_json::Value::Object(self.object()?);
        serde_json::from_value(object)
            .map_err(|_| error::decode("the session's values do not have the type asked for"))
    }

    /// All values as a JSON object.
    ///
    /// # Errors
    /// `Decode` when one of them does not open.
    pub fn object(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let mut object = serde_json::Map::new();
        for name in self.names() {
            if let Some(json) = self.json(name)? {
                object.insert(name.to_owned(), codec::from_json(&json)?);
            }
        }
        Ok(object)
    }

    /// The names of the values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values
            .keys()
            .filter_map(|k| k.strip_prefix(field::DATA))
    }

    /// A counter, 0 if it was never used.
    pub fn counter(&self, name: &str) -> i64 {
        self.values
            .get(&format!("{}{name}", field::COUNTER))
            .and_then(|v| v.parse().ok())
            .unwrap_or(0)
    }

    /// The names of the counters.
    pub fn counters(&self) -> impl Iterator<Item = &str> {
        self.values
            .keys()
            .filter_map(|k| k.strip_prefix(field::COUNTER))
    }

    /// The names of the values that wait to be read once.
    pub fn flashes(&self) -> impl Iterator<Item = &str> {
        self.values
            .keys()
            .filter_map(|k| k.strip_prefix(field::FLASH))
    }

    pub(crate) fn set_stored(&mut self, key: String, stored: Option<String>) {
        match stored {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("public_id", &self.core.public_id)
            .field("version", &self.core.version)
            .field("signed_in", &self.core.user.is_some())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Every field and value as they are stored, in turn.
    pub(crate) fn stored(&self) -> Vec<String> {
        let core = &self.core;
        let mut out = Vec::with_capacity(24 + 2 * self.values.len());
        let mut put = |name: &str, value: String| out.extend([name.to_owned(), value]);
        put(field::VERSION, core.version.to_string());
        put(field::CREATED, core.created_ms.to_string());
        put(field::USED, core.used_ms.to_string());
        put(field::END, core.end_ms.to_string());
        put(field::PUBLIC_ID, core.public_id.clone());
        let optional = [
            (field::USER, core.user.clone()),
            (field::ORGANISATION, core.organisation.clone()),
            (field::IDLE, core.idle.map(|i| i.as_millis().to_string())),
            (
                field::AUTH,
                (core.authentication.at_ms > 0).then(|| core.authentication.render()),
            ),
            (field::DEVICE, core.device_id.clone()),
            (field::LABEL, core.label.clone()),
            (field::NETWORK, core.network.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                put(name, value);
            }
        }
        for (name, value) in &self.values {
            put(name, value.clone());
        }
        out
    }
}

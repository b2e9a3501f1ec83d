//! Events as CloudEvents 1.0.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{binary::header_len, time::is_time};
use crate::{Error, Result};

/// Names that keys and channels use for themselves.
const RESERVED: [&str; 10] = [
    "breaker",
    "coordination",
    "history",
    "dlq",
    "stats",
    "meta",
    "dedup",
    "org",
    "client",
    "work",
];
/// Names of the messages of a stream itself, and those that browsers give meaning to.
const CONTROL: [&str; 10] = [
    "ready",
    "reset",
    "bye",
    "outage",
    "resumed",
    "hint",
    "unreadable",
    "error",
    "message",
    "open",
];
/// Names of attributes, which no extension may have.
const ATTRIBUTES: [&str; 8] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "datacontenttype",
    "data",
];
/// How the media types of events in structured and batch mode begin.
pub(super) const EVENTS_MEDIA: &str = "application/cloudevents";
const LONGEST_NAME: usize = 128;
const LONGEST_ATTRIBUTE: usize = 512;
/// Bytes of an event's attributes together, as headers are written.
const LARGEST_ATTRIBUTES: usize = 8192;
/// Bytes of one event.
const LARGEST_EVENT: usize = 256 * 1024;
/// Levels of arrays and objects in an event's data; every reader takes nearly twice as many.
const DEEPEST: usize = 64;

/// One event: CloudEvents attributes and data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Always `1.0`.
    pub(super) specversion: String,
    /// Unique for its source.
    pub id: String,
    /// Where it comes from, a URI reference.
    pub source: String,
    /// What happened, such as `booking.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What it is about, within the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The data's media type; JSON when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// The data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Data that is bytes rather than JSON, as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
    /// Extensions, such as `correlationid`, `causationid` and `traceparent`.
    #[serde(flatten)]
    pub extensions: Map<String, Value>,
}

impl Event {
    /// An event of a type, with a new random id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a bad name, `Config` when the
    /// system has no random bytes.
    pub fn new(kind: impl Into<String>, source: impl Into<String>, data: Value) -> Result<Self> {
        let event = Self {
            specversion: "1.0".into(),
            id: random_id()?,
            source: source.into(),
            kind: kind.into(),
            time: None,
            subject: None,
            datacontenttype: None,
            data: Some(data),
            data_base64: None,
            extensions: Map::new(),
        };
        event.check()?;
        Ok(event)
    }

    /// Reads a structured CloudEvent; `id`, `source` and `specversion` may be absent.
    ///
    /// An attribute that is null is absent.
    /// Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the attribute.
    pub fn from_json(mut json: Value) -> Result<Self> {
        let map = json
            .as_object_mut()
            .ok_or_else(|| Error::invalid_input("an event is a JSON object"))?;
        map.retain(|name, value| name == "data" || !value.is_null());
        map.entry("specversion").or_insert_with(|| "1.0".into());
        map.entry("source").or_insert_with(|| "/".into());
        if !map.contains_key("id") {
            map.insert("id".into(), random_id()?.into());
        }
        let event: Self = serde_json::from_value(json)
            .map_err(|e| Error::invalid_input(format!("the event is not valid: {e}")))?;
        event.check()?;
        Ok(event)
    }

    /// Reads what is stored, which another program may have written.
    pub(super) fn from_stored(json: &[u8]) -> Result<Self> {
        let event: Self = serde_json::from_slice(json)
            .map_err(|_| Error::decode("a stored event is malformed"))?;
        event.if_readable()
    }

    /// The event, if its type is a name that keys, channels and messages can hold.
    pub(super) fn if_readable(self) -> Result<Self> {
        if is_name(&self.kind) {
            Ok(self)
        } else {
            Err(Error::decode("a stored event is malformed"))
        }
    }

    /// The extension that ties related events together.
    pub fn correlation_id(&self) -> Option<&str> {
        self.extensions.get("correlationid").and_then(Value::as_str)
    }

    /// Adds an extension attribute.
    #[must_use]
    pub fn with_extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Checks what publishing checks, so that every reader, and every receiver, can take the event.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the attribute or the limit.
    pub fn validate(&self) -> Result<()> {
        self.to_stored().map(drop)
    }

    /// The event as it is stored.
    pub(super) fn to_stored(&self) -> Result<String> {
        self.check()?;
        let json = serde_json::to_string(self)
            .map_err(|_| Error::invalid_input("the event cannot be written as JSON"))?;
        if json.len() > LARGEST_EVENT {
            return Err(Error::invalid_input(format!(
                "an event has at most {LARGEST_EVENT} bytes"
            )));
        }
        Ok(json)
    }

    fn check(&self) -> Result<()> {
        if self.specversion != "1.0" {
            return Err(Error::invalid_input("`specversion` must be `1.0`"));
        }
        check_name(&self.kind)?;
        if is_reserved_type(&self.kind) {
            return Err(Error::invalid_input(
                "this event type is reserved: streams have messages of this name",
            ));
        }
        if self.data.as_ref().is_some_and(|data| !is_flat(data)) {
            return Err(Error::invalid_input(format!(
                "the data of an event nests {DEEPEST} levels at most"
            )));
        }
        self.check_texts()?;
        if self.time.as_deref().is_some_and(|time| !is_time(time)) {
            return Err(Error::invalid_input("`time` is a time of RFC 3339"));
        }
        if let Some(data) = &self.data_base64
            && (self.data.is_some() || STANDARD.decode(data).is_err())
        {
            return Err(Error::invalid_input(
                "`data_base64` is base64, and there is no `data` beside it",
            ));
        }
        for (name, value) in &self.extensions {
            let plain = !name.is_empty()
                && name.len() <= 20
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if !plain {
                return Err(Error::invalid_input(
                    "an extension's name has 1 to 20 lower-case letters and digits",
                ));
            }
            if ATTRIBUTES.contains(&name.as_str()) {
                return Err(Error::invalid_input(format!(
                    "`{name}` is an attribute, no extension"
                )));
            }
            let fits = match value {
                Value::String(_) | Value::Bool(_) => true,
                Value::Number(n) => n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                _ => false,
            };
            if !fits {
                return Err(Error::invalid_input(format!(
                    "the extension `{name}` is text, a number of 32 bits or a boolean"
                )));
            }
        }
        Ok(())
    }

    /// The bounds of every attribute that is text, one by one and together.
    fn check_texts(&self) -> Result<()> {
        let mut bytes = header_len("type", &self.kind);
        let own = [
            ("id", Some(&self.id)),
            ("source", Some(&self.source)),
            ("time", self.time.as_ref()),
            ("subject", self.subject.as_ref()),
            ("datacontenttype", self.datacontenttype.as_ref()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?.as_str())));
        let others = self.extensions.iter();
        let others = others.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or("true")));
        for (name, text) in own.chain(others) {
            let may_be_empty = self.extensions.contains_key(name) && name != "dataschema";
            if (text.is_empty() && !may_be_empty)
                || text.len() > LONGEST_ATTRIBUTE
                || text.chars().any(char::is_control)
            {
                return Err(Error::invalid_input(format!(
                    "`{name}` has 1 to {LONGEST_ATTRIBUTE} printable bytes"
                )));
            }
            bytes += header_len(name, text);
        }
        if bytes > LARGEST_ATTRIBUTES {
            return Err(Error::invalid_input(format!(
                "the attributes of an event have at most {LARGEST_ATTRIBUTES} bytes as headers"
            )));
        }
        let Some(kind) = &self.datacontenttype else {
            return Ok(());
        };
        let plain = kind.bytes().all(|b| (b' '..=b'~').contains(&b)) && kind.contains('/');
        let whole = kind.trim_start().as_bytes();
        let whole = whole.get(..EVENTS_MEDIA.len());
        // In binary mode it is the body's type, which would make the data a whole event.
        if !plain || whole.is_some_and(|w| w.eq_ignore_ascii_case(EVENTS_MEDIA.as_bytes())) {
            return Err(Error::invalid_input(
                "`datacontenttype` is the media type of the data, not of events",
            ));
        }
        Ok(())
    }
}

/// Checks an event's name: `[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*`, 128 bytes at most, not reserved.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that tells the rule.
pub fn check_name(name: &str) -> Result<()> {
    if !is_name(name) {
        return Err(Error::invalid_input(
            "an event's type is words of letters, digits and `_`, joined by dots, at most 128 bytes",
        ));
    }
    if RESERVED.contains(&name) {
        return Err(Error::invalid_input("this event type is reserved"));
    }
    Ok(())
}

/// Whether no event may have this type: a key, a channel or a message of a stream has this name.
pub fn is_reserved_type(name: &str) -> bool {
    RESERVED.contains(&name) || CONTROL.contains(&name)
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(part)
}

/// Whether a value nests no deeper than is allowed; without recursion, as it may nest at will.
fn is_flat(value: &Value) -> bool {
    let mut waiting = vec![(value, 0)];
    while let Some((value, above)) = waiting.pop() {
        let inner: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(members) => members.values().collect(),
            _ => continue,
        };
        if above >= DEEPEST {
            return false;
        }
        waiting.extend(inner.into_iter().map(|value| (value, above + 1)));
    }
    true
}

pub(super) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::no_randomness())?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_words_joined_by_dots_and_some_are_reserved() {
        for name in ["booking.created", "a", "A_1.b"] {
            check_name(name).unwrap();
        }
        for name in [
            "",
            ".",
            "a.",
            "a b",
            "a-b",
            "*",
            "a,b",
            "history",
            "coordination",
            &"x".repeat(129),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_cloud_event_survives_with_its_extensions() {
        let json = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "a.b", "time": "2026-01-01T00:00:00Z",
                           "correlationid": "c", "data": { "n": 1 } });
        let event = Event::from_json(json.clone()).unwrap();
        assert_eq!(event.correlation_id(), Some("c"));
        assert_eq!(serde_json::to_value(&event).unwrap(), json);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, part) in [
            (json!([]), "object"),
            (json!({ "type": "a", "specversion": "0.3" }), "specversion"),
            (json!({ "source": "/" }), "type"),
            (json!({ "type": "a", "id": "" }), "id"),
            (json!({ "type": "a", "time": "yesterday" }), "time"),
            (json!({ "type": "a", "Bad": "x" }), "extension"),
            (json!({ "type": "a", "nested": {} }), "nested"),
            (json!({ "type": "a", "data_base64": "*" }), "data_base64"),
            (
                json!({ "type": "a", "data_base64": "AA==", "data": 1 }),
                "data_base64",
            ),
        ] {
            let error = Event::from_json(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

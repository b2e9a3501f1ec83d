//! CloudEvents in the binary mode of HTTP: attributes as headers, data as the body.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{Event, event::EVENTS_MEDIA};
use crate::{Error, Result};

/// What a header may not hold as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// What the header `webhook-id` may not hold as it is: its parts are joined by dots to be signed.
const ENCODED_ID: &AsciiSet = &ENCODED.add(b'.');

impl Event {
    /// Reads a CloudEvent in binary mode; `None` without a header `ce-type`, and where the body's
    /// type says that whole events are in it.
    ///
    /// JSON data stays JSON; any other data is kept byte by byte as `data_base64`.
    /// Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode>.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the attribute.
    pub fn from_binary(headers: &HeaderMap, body: &[u8]) -> Result<Option<Self>> {
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let kind = kind.and_then(|kind| kind.trim_ascii_start().get(..EVENTS_MEDIA.len()));
        let whole = kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS_MEDIA.as_bytes()));
        if whole || !headers.contains_key("ce-type") {
            return Ok(None);
        }
        let mut event = Map::new();
        for (name, value) in headers {
            let Some(attribute) = name.as_str().strip_prefix("ce-") else {
                continue;
            };
            // The body's own headers tell these.
            if matches!(attribute, "datacontenttype" | "data" | "data_base64") {
                return Err(Error::invalid_input(format!(
                    "`{name}` is no header: the body is the data, `Content-Type` its type"
                )));
            }
            let text = value.to_str().ok().map(unquoted).and_then(|text| {
                let bytes: Vec<u8> = percent_decode_str(&text).collect();
                String::from_utf8(bytes).ok()
            });
            let text = text.ok_or_else(|| {
                Error::invalid_input(format!("the header `{name}` is not percent-encoded UTF-8"))
            })?;
            if event.insert(attribute.to_owned(), text.into()).is_some() {
                return Err(Error::invalid_input(format!(
                    "the header `{name}` is there twice"
                )));
            }
        }
        if !body.is_empty() {
            let kind = headers
                .get(header::CONTENT_TYPE)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("application/octet-stream");
            if is_json(kind) {
                let data: Value = serde_json::from_slice(body)
                    .map_err(|e| Error::invalid_input(format!("the data is not JSON: {e}")))?;
                event.insert("data".into(), data);
            } else {
                event.insert("data_base64".into(), STANDARD.encode(body).into());
            }
            if kind != "application/json" {
                event.insert("datacontenttype".into(), kind.into());
            }
        }
        Self::from_json(Value::Object(event)).map(Some)
    }

    /// The event in binary mode: its attributes as headers, its data as the body.
    ///
    /// # Errors
    /// An attribute that no header can hold; an event that was checked has none.
    pub fn to_binary(&self) -> Result<(HeaderMap, Vec<u8>)> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, text: &str| {
            let name = HeaderName::try_from(format!("ce-{name}"));
            let value = utf8_percent_encode(text, ENCODED).to_string();
            match (name, HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => Ok(headers.insert(name, value)),
                _ => Err(Error::invalid_input("an attribute does not fit a header")),
            }
        };
        let own = [
            ("specversion", Some(&self.specversion)),
            ("id", Some(&self.id)),
            ("source", Some(&self.source)),
            ("type", Some(&self.kind)),
            ("time", self.time.as_ref()),
            ("subject", self.subject.as_ref()),
        ];
        for (name, value) in own {
            if let Some(value) = value {
                add(name, value)?;
            }
        }
        for (name, value) in &self.extensions {
            match value {
                Value::String(text) => add(name, text)?,
                other => add(name, &other.to_string())?,
            };
        }
        let kind = self.datacontenttype.as_deref();
        let body = match (&self.data, &self.data_base64) {
            (_, Some(bytes)) => STANDARD.decode(bytes).unwrap_or_default(),
            // Text that is not JSON stands in the JSON of an event as a string.
            (Some(Value::String(text)), _) if kind.is_some_and(|k| !is_json(k)) => {
                text.clone().into()
            }
            (Some(data), _) => data.to_string().into(),
            (None, None) => return Ok((headers, Vec::new())),
        };
        if let Ok(kind) = HeaderValue::try_from(kind.unwrap_or("application/json")) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        Ok((headers, body))
    }
}

/// The bytes of an attribute as a header line.
pub(super) fn header_len(name: &str, text: &str) -> usize {
    let parts = utf8_percent_encode(text, ENCODED);
    "ce-: \r\n".len() + name.len() + parts.map(str::len).sum::<usize>()
}

/// An id as the header `webhook-id`.
pub(super) fn header_id(text: &str) -> String {
    utf8_percent_encode(text, ENCODED_ID).to_string()
}

/// A value may come as a quoted string, in which a backslash takes the next character as it is.
fn unquoted(value: &str) -> String {
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return value.to_owned();
    };
    let mut characters = quoted.chars();
    let mut text = String::with_capacity(quoted.len());
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next()).flatten();
        text.push(escaped.unwrap_or(character));
    }
    text
}

pub(super) fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn read(headers: &[(&'static str, &'static str)], body: &[u8]) -> Result<Option<Event>> {
        let pairs = headers.iter().map(|(name, value)| {
            let value = http::HeaderValue::from_static(value);
            (http::HeaderName::from_static(name), value)
        });
        Event::from_binary(&pairs.collect(), body)
    }

    #[test]
    fn attributes_are_percent_decoded_headers() {
        let headers = [
            ("ce-type", "a.b"),
            ("ce-id", "1"),
            ("ce-source", "\"/a%20b\""),
            ("ce-subject", "Euro%20%E2%82%AC"),
            ("ce-correlationid", "c"),
            ("content-type", "application/json"),
        ];
        let event = read(&headers, b"{\"n\":1}").unwrap().unwrap();
        assert_eq!((event.id.as_str(), event.source.as_str()), ("1", "/a b"));
        assert_eq!(event.subject.as_deref(), Some("Euro €"));
        assert_eq!(event.correlation_id(), Some("c"));
        assert_eq!(
            (event.data, event.datacontenttype),
            (Some(json!({ "n": 1 })), None)
        );
    }

    #[test]
    fn data_that_is_not_json_keeps_every_byte() {
        let headers = [("ce-type", "a"), ("content-type", "image/png")];
        let event = read(&headers, &[0, 255, 10]).unwrap().unwrap();
        assert_eq!(event.data_base64.as_deref(), Some("AP8K"));
        assert_eq!(event.data, None);
        assert_eq!(event.datacontenttype.as_deref(), Some("image/png"));
        let event = read(&[("ce-type", "a")], b"x").unwrap().unwrap();
        assert_eq!(
            event.datacontenttype.as_deref(),
            Some("application/octet-stream")
        );
    }

    #[test]
    fn an_event_survives_its_binary_form() {
        let whole = json!({ "specversion": "1.0", "id": "a \"b\" 100%", "source": "/é", "type": "a.b",
            "time": "2026-01-01T00:00:00Z", "subject": "Euro €", "correlationid": "c", "data": { "n": [1, "é"] } });
        let bytes = json!({ "specversion": "1.0", "id": "1", "source": "/", "type": "a",
            "datacontenttype": "image/png", "data_base64": "AP8K" });
        let nothing = json!({ "specversion": "1.0", "id": "1", "source": "/", "type": "a" });
        for json in [whole, bytes, nothing] {
            let event = Event::from_json(json).unwrap();
            let (headers, body) = event.to_binary().unwrap();
            assert_eq!(Event::from_binary(&headers, &body).unwrap(), Some(event));
        }
        let text =
            json!({ "type": "a", "datacontenttype": "text/plain", "data": "é\n", "loud": true });
        let (headers, body) = Event::from_json(text).unwrap().to_binary().unwrap();
        assert_eq!(
            (headers["content-type"].as_bytes(), &body[..]),
            (&b"text/plain"[..], "é\n".as_bytes())
        );
        assert_eq!(headers["ce-loud"], "true");
    }

    #[test]
    fn other_requests_and_wrong_headers_are_told_apart() {
        assert!(read(&[("ce-id", "1")], b"{}").unwrap().is_none());
        for (name, value) in [
            ("ce-subject", "%FF"),
            ("ce-specversion", "0.3"),
            ("ce-nope-x", "1"),
        ] {
            assert!(
                read(&[("ce-type", "a"), (name, value)], b"").is_err(),
                "{name}"
            );
        }
        let headers = [("ce-type", "a"), ("content-type", "application/x+json")];
        assert!(read(&headers, b"{").is_err());
    }
}

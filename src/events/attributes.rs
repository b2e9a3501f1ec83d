//! Reading an event's JSON in one pass.
//!
//! Derived code for a flattened map keeps all members aside first, which takes twice as long.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::Event;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    SpecVersion,
    Id,
    Source,
    Type,
    Time,
    Subject,
    DataContentType,
    Data,
    #[serde(rename = "data_base64")]
    DataBase64,
    Extension(String),
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Attributes)
    }
}

struct Attributes;

/// Takes a member's value; the same one twice is an error.
fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    map: &mut A,
    name: &'static str,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

impl<'de> Visitor<'de> for Attributes {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let (mut specversion, mut id, mut source, mut kind) = (None, None, None, None);
        let (mut time, mut subject, mut datacontenttype) = (None, None, None);
        let (mut data, mut data_base64) = (None, None);
        let mut extensions = Map::new();
        while let Some(name) = map.next_key()? {
            match name {
                Name::SpecVersion => set(&mut specversion, &mut map, "specversion")?,
                Name::Id => set(&mut id, &mut map, "id")?,
                Name::Source => set(&mut source, &mut map, "source")?,
                Name::Type => set(&mut kind, &mut map, "type")?,
                Name::Time => set(&mut time, &mut map, "time")?,
                Name::Subject => set(&mut subject, &mut map, "subject")?,
                Name::DataContentType => set(&mut datacontenttype, &mut map, "datacontenttype")?,
                Name::Data => set(&mut data, &mut map, "data")?,
                Name::DataBase64 => set(&mut data_base64, &mut map, "data_base64")?,
                Name::Extension(name) => {
                    let value: Value = map.next_value()?;
                    extensions.insert(name, value);
                }
            }
        }
        let missing = A::Error::missing_field;
        Ok(Event {
            specversion: specversion.ok_or_else(|| missing("specversion"))?,
            id: id.ok_or_else(|| missing("id"))?,
            source: source.ok_or_else(|| missing("source"))?,
            kind: kind.ok_or_else(|| missing("type"))?,
            time: time.flatten(),
            subject: subject.flatten(),
            datacontenttype: datacontenttype.flatten(),
            data: data.flatten(),
            data_base64: data_base64.flatten(),
            extensions,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn every_member_is_read_in_any_order_and_nulls_are_absent() {
        let json = r#"{"x":1,"data":{"n":[1,2]},"type":"a.b","subject":null,"id":"i","time":"t",
            "datacontenttype":"d","source":"/s","specversion":"1.0","y":"é"}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        let mut wanted: Value = serde_json::from_str(json).unwrap();
        wanted.as_object_mut().unwrap().remove("subject");
        assert_eq!(serde_json::to_value(&event).unwrap(), wanted);
        assert_eq!(event.extensions.len(), 2);
        let same: Event = serde_json::from_value(wanted).unwrap();
        assert_eq!(same, event);
    }

    #[test]
    fn what_is_missing_twice_there_or_of_another_kind_is_named() {
        let whole = json!({ "specversion": "1.0", "id": "i", "source": "/", "type": "a" });
        for name in ["specversion", "id", "source", "type"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(name);
            let error = serde_json::from_value::<Event>(part).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            let twice = whole
                .to_string()
                .replacen('{', &format!("{{\"{name}\":\"a\","), 1);
            assert!(serde_json::from_str::<Event>(&twice).is_err(), "{twice}");
        }
        for wrong in ["[]", "1", "null", r#"{"id":1}"#] {
            assert!(serde_json::from_str::<Event>(wrong).is_err(), "{wrong}");
        }
    }
}

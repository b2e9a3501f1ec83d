//! Values that are stored as JSON text.
use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Unexpected, Visitor},
    ser::Error as _,
};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::protocol::{
    error::{Error, Result},
    reply::{FromReply, Reply},
};

/// A value stored as JSON text.
///
/// Inside another value it is text as well: a field of a
/// [`HashRecord`](crate::HashRecord) may be a list or a struct as JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromReply for Json<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let text = Bytes::from_reply(reply)?;
        read(&text).map(Self)
    }
}

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0)
            .map_err(|_| S::Error::custom("value cannot be written as JSON"))?;
        serializer.serialize_str(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

struct Text<T>(PhantomData<T>);

impl<T: DeserializeOwned> Visitor<'_> for Text<T> {
    type Value = Json<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON as text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json<T>, E> {
        read(text.as_bytes()).map(Json).map_err(|e| {
            let place = match e.path() {
                "" => String::new(),
                path => format!(" at {path}"),
            };
            let wanted = format!("JSON of the type{place}");
            E::invalid_value(Unexpected::Other("text"), &&*wanted)
        })
    }
}

/// Tells where and what kind, without the text: messages of `serde_json` may quote values.
fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|e| {
        let what = match e.classify() {
            Category::Syntax => "stored value is not JSON",
            Category::Eof => "stored JSON ends early",
            Category::Data => "stored JSON does not fit the type",
            Category::Io => "cannot read stored JSON",
        };
        let what = format!("{what}, line {} column {}", e.line(), e.column());
        placed::<T>(text, Error::decode(what))
    })
}

/// Reads once more, so that only a failure pays for the path.
fn placed<T: DeserializeOwned>(text: &[u8], error: Error) -> Error {
    let mut again = serde_json::Deserializer::from_slice(text);
    let Err(e) = serde_path_to_error::deserialize::<_, T>(&mut again) else {
        return error;
    };
    let path: Vec<_> = e.path().iter().collect();
    path.into_iter()
        .rfold(error, |error, segment| match segment {
            Segment::Seq { index } => error.at(*index),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                error.at_field(name.as_bytes())
            }
            Segment::Unknown => error,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "is read to fail")]
        lines: Vec<Line>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Line {
        #[expect(dead_code, reason = "is read to fail")]
        price: u32,
    }

    #[test]
    fn an_error_names_the_place_in_the_document_and_no_value() {
        let text = r#"{"lines":[{"price":1},{"price":"S3CRET"}]}"#;
        let error = Json::<Order>::from_reply(Reply::Bulk(text.into())).unwrap_err();
        let told = error.in_command("get").to_string();
        let wanted = "cannot decode reply in GET at lines[1].price: \
             stored JSON does not fit the type, line 1 column 39";
        assert_eq!(told, wanted);
        let bulk = Reply::Bulk("[1,2] S3CRET".into());
        let told = Json::<Vec<u8>>::from_reply(bulk).unwrap_err().to_string();
        let wanted = "cannot decode reply: stored value is not JSON, line 1 column 7";
        assert_eq!(told, wanted);
    }

    #[test]
    fn json_in_json_is_text() {
        let text = serde_json::to_string(&[Json(vec![1, 2])]).unwrap();
        assert_eq!(text, r#"["[1,2]"]"#);
        let [Json(back)]: [Json<Vec<u8>>; 1] = serde_json::from_str(&text).unwrap();
        assert_eq!(back, [1, 2]);
        let error = serde_json::from_str::<Json<Vec<u8>>>(r#""[1,\"S3CRET\"]""#).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("JSON of the type at [1]") && !told.contains("S3CRET"),
            "{told}"
        );
    }

    proptest! {
        #[test]
        fn every_float_survives_json(n in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let text = serde_json::to_vec(&n).unwrap();
            let Json(back) = Json::<f64>::from_reply(Reply::Bulk(text.into())).unwrap();
            prop_assert_eq!(n.to_bits(), back.to_bits());
        }
    }

    #[test]
    fn exact_floats_do_not_depend_on_what_else_is_built() {
        // Other packages ask for the same feature: here the one above passes without it.
        assert!(include_str!("../../Cargo.toml").contains("\"float_roundtrip\""));
    }
}

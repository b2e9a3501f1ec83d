//! From the fields of a hash to a struct.
use std::{fmt, str::FromStr, vec};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, Unexpected,
        Visitor,
    },
    forward_to_deserialize_any,
};

use crate::protocol::{
    error::{Error, Result},
    reply::{FromReply, Reply},
};

pub(super) fn value<T: DeserializeOwned>(fields: Vec<(String, Reply)>) -> Result<T> {
    let rows = Rows {
        left: fields.into_iter(),
        current: None,
    };
    T::deserialize(de::value::MapAccessDeserializer::new(rows)).map_err(|misfit| {
        let error = Error::decode(misfit.detail);
        match misfit.field {
            Some(name) => error.at_field(name.as_bytes()),
            None => error,
        }
    })
}

/// Says what is wrong where, never with a value.
#[derive(Debug)]
struct Misfit {
    detail: String,
    field: Option<String>,
}

impl Misfit {
    fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            field: None,
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self::new("stored value does not fit the type")
    }
    fn invalid_type(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {wanted}"))
    }
    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {wanted}"))
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::new("expected one of the variants")
    }
    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("field `{field}` is missing"))
    }
}

/// The fields that are not read yet.
struct Rows {
    left: vec::IntoIter<(String, Reply)>,
    current: Option<(String, Reply)>,
}

impl<'de> MapAccess<'de> for Rows {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.current = self.left.next();
        let Some((name, _)) = &self.current else {
            return Ok(None);
        };
        let name = Field(Reply::Bulk(name.clone().into()));
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((name, value)) = self.current.take() else {
            return Err(Misfit::new("expected a value"));
        };
        seed.deserialize(Field(value)).map_err(|misfit| Misfit {
            field: Some(name),
            ..misfit
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// One name or value of the hash, read as what the struct's field wants.
struct Field(Reply);

impl Field {
    fn text(self) -> Result<String, Misfit> {
        String::from_reply(self.0).map_err(|_| Misfit::new("expected text"))
    }

    fn parse<T: FromStr>(self, wanted: &str) -> Result<T, Misfit> {
        let misfit = |_| Misfit::new(format!("expected {wanted}"));
        self.text()?.parse().map_err(misfit)
    }
}

impl IntoDeserializer<'_, Misfit> for Field {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $t:ty),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            visitor.$visit(self.parse::<$t>(concat!("a number of type ", stringify!($t)))?)
        }
    )+};
}

impl<'de> Deserializer<'de> for Field {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &*self.text()? {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(Misfit::new("expected true or false")),
        }
    }

    // `nan`, `inf` and `-inf` are numbers to the standard library too.
    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let bytes = Vec::<u8>::from_reply(self.0).map_err(|_| Misfit::new("expected bytes"))?;
        visitor.visit_byte_buf(bytes)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Reply::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let variant: de::value::StringDeserializer<Misfit> = self.text()?.into_deserializer();
        visitor.visit_enum(variant)
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

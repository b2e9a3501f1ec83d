//! Hashes as structs, by serde: one field of the struct is one field of the hash.
use std::fmt;

use serde::{
    Deserializer, Serialize,
    de::{self, DeserializeOwned, Error as _, Expected, IntoDeserializer, Unexpected, Visitor},
    forward_to_deserialize_any,
};

use crate::{
    error::{Error, Result},
    reply::{FromReply, Pairs, Reply},
};

/// A struct that is stored as a hash; numbers and booleans as text.
///
/// ```no_run
/// # use restis::{prelude::*, record::Record};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct User { name: String, visits: u64, admin: bool, email: Option<String> }
///
/// # async fn example(redis: &Redis, user: User) -> restis::Result<()> {
/// redis.hset("user:1", Record(&user).fields()?).await?;
/// let Record(user): Record<User> = redis.hgetall("user:1").await?;
/// # let _ = user; Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record<T>(pub T);

impl<T: Serialize> Record<T> {
    /// The fields to store; `None` fields are left out.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a struct or map of plain values.
    pub fn fields(&self) -> Result<Vec<(String, String)>> {
        use serde_json::Value;
        let value = serde_json::to_value(&self.0)
            .map_err(|_| Error::invalid_input("record cannot be written"))?;
        let Value::Object(fields) = value else {
            return Err(Error::invalid_input("a record is a struct or a map"));
        };
        let mut out = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let text = match value {
                Value::Null => continue,
                Value::Bool(b) => b.to_string(),
                Value::Number(n) => n.to_string(),
                Value::String(s) => s,
                Value::Array(_) | Value::Object(_) => {
                    return Err(Error::invalid_input(format!(
                        "field `{name}` is not a plain value; store it as Json"
                    )));
                }
            };
            out.push((name, text));
        }
        Ok(out)
    }
}

impl<T: DeserializeOwned> FromReply for Record<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let Pairs(fields) = Pairs::<String, Reply>::from_reply(reply)?;
        let map = de::value::MapDeserializer::new(
            fields
                .into_iter()
                .map(|(name, reply)| (name.clone(), Field { name, reply })),
        );
        T::deserialize(map)
            .map(Self)
            .map_err(|e| Error::decode(e.0))
    }
}

/// Says what is wrong where, never with a value.
#[derive(Debug)]
struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self("hash does not fit the struct".into())
    }
    fn invalid_type(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self(format!("expected {wanted}"))
    }
    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self(format!("expected {wanted}"))
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self("unknown variant".into())
    }
    fn missing_field(field: &'static str) -> Self {
        Self(format!("field `{field}` is missing"))
    }
}

/// One value of the hash, read as what the struct's field wants.
struct Field {
    name: String,
    reply: Reply,
}

impl Field {
    fn misfit(&self, wanted: &str) -> Misfit {
        Misfit(format!("field `{}`: expected {wanted}", self.name))
    }

    fn text(&self) -> Result<String, Misfit> {
        String::from_reply(self.reply.clone()).map_err(|_| self.misfit("text"))
    }

    fn parse<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, Misfit> {
        self.text()?.parse().map_err(|_| self.misfit(wanted))
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
        let text = self.text()?;
        visitor
            .visit_string(text)
            .map_err(|_: Misfit| self.misfit("another kind of value"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &*self.text()? {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(self.misfit("true or false")),
        }
    }

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
        let bytes = Vec::<u8>::from_reply(self.reply.clone());
        visitor.visit_byte_buf(bytes.map_err(|_| self.misfit("bytes"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.reply {
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
        visitor
            .visit_enum(variant)
            .map_err(|_| Misfit::custom(""))
            .map_err(|_| self.misfit("one of the variants"))
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Admin,
        Guest,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        name: String,
        visits: u64,
        ratio: f64,
        admin: bool,
        role: Role,
        email: Option<String>,
    }

    fn user() -> User {
        User {
            name: "Zoë".into(),
            visits: u64::MAX,
            ratio: 0.1,
            admin: true,
            role: Role::Guest,
            email: None,
        }
    }

    fn reply(fields: Vec<(String, String)>) -> Reply {
        let bulk = |s: String| Reply::Bulk(s.into());
        Reply::Array(
            fields
                .into_iter()
                .flat_map(|(n, v)| [bulk(n), bulk(v)])
                .collect(),
        )
    }

    #[test]
    fn a_struct_survives_the_hash() {
        let mut fields = Record(user()).fields().unwrap();
        fields.push(("unknown".into(), "ignored".into()));
        assert_eq!(Record::<User>::from_reply(reply(fields)).unwrap().0, user());
    }

    #[test]
    fn an_error_names_the_field_and_not_the_value() {
        for (field, value) in [
            ("visits", "S3CRET"),
            ("admin", "S3CRET"),
            ("role", "S3CRET"),
        ] {
            let mut fields = Record(user()).fields().unwrap();
            fields.iter_mut().find(|(n, _)| n == field).unwrap().1 = value.into();
            let text = Record::<User>::from_reply(reply(fields))
                .unwrap_err()
                .to_string();
            assert!(text.contains(field) && !text.contains("S3CRET"), "{text}");
        }
        let text = Record::<User>::from_reply(reply(Vec::new()))
            .unwrap_err()
            .to_string();
        assert!(text.contains("`name` is missing"), "{text}");
    }

    #[test]
    fn nested_values_are_refused() {
        let nested: std::collections::BTreeMap<_, _> = [("list", vec![1])].into();
        assert!(Record(nested).fields().is_err());
        assert!(Record(5).fields().is_err());
    }
}

//! From a struct to the fields of a hash.
use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeMap, SerializeStruct},
};

use crate::protocol::command::{Args, ToArg};

/// What is wrong, without a value.
pub(super) fn fields<T: Serialize>(record: &T) -> Result<Vec<(String, Vec<u8>)>, String> {
    record
        .serialize(Whole)
        .map(|rows| rows.fields)
        .map_err(|refusal| refusal.0)
}

#[derive(Debug)]
struct Refusal(String);

impl Refusal {
    fn whole() -> Self {
        Self("a record is a struct or a map".into())
    }

    fn nested() -> Self {
        Self("is not a plain value; store it as Json".into())
    }

    fn in_field(self, name: &str) -> Self {
        Self(format!("field `{name}` {}", self.0))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    /// The message may quote values.
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self("cannot be written".into())
    }
}

/// The fields so far, and the name of the next one.
#[derive(Default)]
struct Rows {
    fields: Vec<(String, Vec<u8>)>,
    name: String,
}

impl Rows {
    fn push<T: Serialize + ?Sized>(&mut self, name: String, value: &T) -> Result<(), Refusal> {
        match value.serialize(Plain) {
            Ok(Some(text)) => self.fields.push((name, text)),
            Ok(None) => {}
            Err(refusal) => return Err(refusal.in_field(&name)),
        }
        Ok(())
    }
}

impl SerializeStruct for Rows {
    type Ok = Self;
    type Error = Refusal;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        self.push(name.to_owned(), value)
    }

    fn end(self) -> Result<Self, Refusal> {
        Ok(self)
    }
}

impl SerializeMap for Rows {
    type Ok = Self;
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        let name = key.serialize(Plain).ok().flatten();
        self.name = name
            .and_then(|name| String::from_utf8(name).ok())
            .ok_or_else(|| Refusal("the name of a field is text".into()))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        let name = std::mem::take(&mut self.name);
        self.push(name, value)
    }

    fn end(self) -> Result<Self, Refusal> {
        Ok(self)
    }
}

macro_rules! refuse {
    ($refusal:ident: $($method:ident($($t:ty),*) -> $ok:ty;)+) => {$(
        fn $method(self, $(_: $t),*) -> Result<$ok, Refusal> {
            Err(Refusal::$refusal())
        }
    )+};
}

macro_rules! refuse_nested {
    ($refusal:ident) => {
        refuse! { $refusal:
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize)
                -> Self::SerializeTupleVariant;
            serialize_struct_variant(&'static str, u32, &'static str, usize)
                -> Self::SerializeStructVariant;
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, Refusal> {
            Err(Refusal::$refusal())
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Refusal> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<Self::Ok, Refusal> {
            value.serialize(self)
        }
    };
}

/// Takes a struct or a map.
struct Whole;

impl Serializer for Whole {
    type Ok = Rows;
    type Error = Refusal;
    type SerializeSeq = Impossible<Rows, Refusal>;
    type SerializeTuple = Impossible<Rows, Refusal>;
    type SerializeTupleStruct = Impossible<Rows, Refusal>;
    type SerializeTupleVariant = Impossible<Rows, Refusal>;
    type SerializeMap = Rows;
    type SerializeStruct = Rows;
    type SerializeStructVariant = Impossible<Rows, Refusal>;

    fn serialize_map(self, _: Option<usize>) -> Result<Rows, Refusal> {
        Ok(Rows::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Rows, Refusal> {
        Ok(Rows::default())
    }

    refuse! { whole:
        serialize_bool(bool) -> Rows;
        serialize_i8(i8) -> Rows;
        serialize_i16(i16) -> Rows;
        serialize_i32(i32) -> Rows;
        serialize_i64(i64) -> Rows;
        serialize_i128(i128) -> Rows;
        serialize_u8(u8) -> Rows;
        serialize_u16(u16) -> Rows;
        serialize_u32(u32) -> Rows;
        serialize_u64(u64) -> Rows;
        serialize_u128(u128) -> Rows;
        serialize_f32(f32) -> Rows;
        serialize_f64(f64) -> Rows;
        serialize_char(char) -> Rows;
        serialize_str(&str) -> Rows;
        serialize_bytes(&[u8]) -> Rows;
        serialize_none() -> Rows;
        serialize_unit() -> Rows;
        serialize_unit_struct(&'static str) -> Rows;
        serialize_unit_variant(&'static str, u32, &'static str) -> Rows;
    }
    refuse_nested!(whole);
}

/// Takes a value that is one text, as an argument of a command would be; nothing for none.
struct Plain;

fn text(value: impl ToArg) -> Result<Option<Vec<u8>>, Refusal> {
    let mut args = Args::new();
    args.add(value);
    Ok(args.get(0).map(<[u8]>::to_vec))
}

macro_rules! plain {
    ($($method:ident $t:ty),+ $(,)?) => {$(
        fn $method(self, value: $t) -> Result<Option<Vec<u8>>, Refusal> {
            text(value)
        }
    )+};
}

impl Serializer for Plain {
    type Ok = Option<Vec<u8>>;
    type Error = Refusal;
    type SerializeSeq = Impossible<Self::Ok, Refusal>;
    type SerializeTuple = Impossible<Self::Ok, Refusal>;
    type SerializeTupleStruct = Impossible<Self::Ok, Refusal>;
    type SerializeTupleVariant = Impossible<Self::Ok, Refusal>;
    type SerializeMap = Impossible<Self::Ok, Refusal>;
    type SerializeStruct = Impossible<Self::Ok, Refusal>;
    type SerializeStructVariant = Impossible<Self::Ok, Refusal>;

    plain! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
        serialize_u128 u128,
        serialize_f32 f32, serialize_f64 f64,
        serialize_str &str, serialize_bytes &[u8],
    }

    fn serialize_bool(self, value: bool) -> Result<Self::Ok, Refusal> {
        text(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<Self::Ok, Refusal> {
        text(&*value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<Self::Ok, Refusal> {
        Ok(None)
    }

    fn serialize_unit(self) -> Result<Self::Ok, Refusal> {
        Ok(None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Self::Ok, Refusal> {
        Ok(None)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Self::Ok, Refusal> {
        text(variant)
    }

    refuse! { nested:
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }
    refuse_nested!(nested);
}

//! Hashes as structs, by serde: one field of the struct is one field of the hash.
use serde::{Serialize, de::DeserializeOwned};

use crate::protocol::{
    error::{Error, Result},
    reply::{FromReply, Pairs, Reply},
};

mod read;
mod write;

/// A struct that is stored as a hash; numbers and booleans as text, bytes as they are.
///
/// ```no_run
/// # use restis::{HashRecord, Json, prelude::*};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct User { name: String, visits: u64, email: Option<String>, roles: Json<Vec<String>> }
///
/// # async fn example(redis: &Redis, user: User) -> restis::Result<()> {
/// redis.hset("user:1", HashRecord(&user).fields()?).await?;
/// let user: Option<HashRecord<User>> = redis.hgetall("user:1").await?;
/// # let _ = user; Ok(())
/// # }
/// ```
///
/// As an `Option` a missing key is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HashRecord<T>(pub T);

impl<T: Serialize> HashRecord<T> {
    /// The fields to store; `None` fields are left out.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a struct or map of plain values; lists and structs in
    /// it go as [`Json`](crate::Json).
    pub fn fields(&self) -> Result<Vec<(String, Vec<u8>)>> {
        write::fields(&self.0).map_err(Error::invalid_input)
    }
}

impl<T: DeserializeOwned> FromReply for HashRecord<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let Pairs(fields) = Pairs::<String, Reply>::from_reply(reply)?;
        read::value(fields).map(Self)
    }

    fn is_absent(reply: &Reply) -> bool {
        match reply {
            Reply::Array(fields) => fields.is_empty(),
            other => matches!(other, Reply::Nil),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Json;
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

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Odd {
        great: u128,
        small: i128,
        floats: Json<Vec<f64>>,
        single: f32,
        double: f64,
        letter: char,
        #[serde(with = "raw")]
        bytes: Vec<u8>,
    }

    mod raw {
        use super::*;

        pub(super) fn serialize<S: serde::Serializer>(v: &[u8], s: S) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(v)
        }

        pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
            d: D,
        ) -> Result<Vec<u8>, D::Error> {
            struct Raw;
            impl serde::de::Visitor<'_> for Raw {
                type Value = Vec<u8>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_byte_buf<E>(self, v: Vec<u8>) -> Result<Vec<u8>, E> {
                    Ok(v)
                }
            }
            d.deserialize_byte_buf(Raw)
        }
    }

    #[test]
    fn every_value_survives_the_hash() {
        for (double, single) in [
            (f64::INFINITY, f32::NEG_INFINITY),
            (1e-300, 0.1),
            (-0.0, 1e10),
        ] {
            let odd = Odd {
                great: u128::MAX,
                small: i128::MIN,
                floats: Json(vec![0.1, 1e300]),
                single,
                double,
                letter: '\n',
                bytes: (0..=255).collect(),
            };
            let fields = HashRecord(&odd).fields().unwrap();
            assert_eq!(
                HashRecord::from_reply(reply(fields)).unwrap(),
                HashRecord(odd)
            );
        }
        let odd = Odd {
            double: f64::NAN,
            ..Odd::default()
        };
        let fields = HashRecord(&odd).fields().unwrap();
        let HashRecord(back): HashRecord<Odd> = HashRecord::from_reply(reply(fields)).unwrap();
        assert!(back.double.is_nan());
        let keys: std::collections::BTreeMap<_, _> = [(1, true), (-2, false)].into();
        let fields = HashRecord(&keys).fields().unwrap();
        assert_eq!(
            HashRecord::from_reply(reply(fields)).unwrap(),
            HashRecord(keys)
        );
    }

    #[test]
    fn a_missing_hash_is_no_record() {
        type Maybe = Option<HashRecord<Odd>>;
        assert_eq!(Maybe::from_reply(reply(Vec::new())).unwrap(), None);
        assert_eq!(Maybe::from_reply(Reply::Nil).unwrap(), None);
        let some = Maybe::from_reply(reply(vec![("x".into(), Vec::new())])).unwrap();
        assert_eq!(some, Some(HashRecord(Odd::default())));
        let mut fields = HashRecord(Odd::default()).fields().unwrap();
        fields.iter_mut().find(|(n, _)| n == "floats").unwrap().1 = b"[1,\"S3CRET\"]".to_vec();
        let told = Maybe::from_reply(reply(fields)).unwrap_err().to_string();
        let wanted = "cannot decode reply at floats: expected JSON of the type at [1]";
        assert_eq!(told, wanted);
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

    fn reply(fields: Vec<(String, Vec<u8>)>) -> Reply {
        let bulk = |bytes: Vec<u8>| Reply::Bulk(bytes.into());
        Reply::Array(
            fields
                .into_iter()
                .flat_map(|(n, v)| [bulk(n.into()), bulk(v)])
                .collect(),
        )
    }

    #[test]
    fn a_struct_survives_the_hash() {
        let mut fields = HashRecord(user()).fields().unwrap();
        fields.push(("unknown".into(), "ignored".into()));
        assert_eq!(
            HashRecord::<User>::from_reply(reply(fields)).unwrap().0,
            user()
        );
    }

    #[test]
    fn an_error_names_the_field_and_not_the_value() {
        for (field, value) in [
            ("visits", "S3CRET"),
            ("admin", "S3CRET"),
            ("role", "S3CRET"),
        ] {
            let mut fields = HashRecord(user()).fields().unwrap();
            fields.iter_mut().find(|(n, _)| n == field).unwrap().1 = value.into();
            let text = HashRecord::<User>::from_reply(reply(fields))
                .unwrap_err()
                .to_string();
            assert!(text.contains(field) && !text.contains("S3CRET"), "{text}");
        }
        let text = HashRecord::<User>::from_reply(reply(Vec::new()))
            .unwrap_err()
            .to_string();
        assert!(text.contains("`name` is missing"), "{text}");
    }

    #[test]
    fn nested_values_are_refused() {
        let nested: std::collections::BTreeMap<_, _> = [("list", vec![1])].into();
        let told = HashRecord(nested).fields().unwrap_err().to_string();
        let wanted = "invalid input: field `list` is not a plain value; store it as Json";
        assert_eq!(told, wanted);
        assert!(HashRecord(5).fields().is_err());
    }
}

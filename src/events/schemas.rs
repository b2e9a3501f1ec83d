//! JSON schemas of event types.

use std::{collections::BTreeMap, fmt};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{Event, check_name};
use crate::{Error, Result};

const MOST_SCHEMAS: usize = 1000;
const MOST_MISMATCHES: usize = 10;

/// The [JSON Schema](https://json-schema.org/) of each event type, and what happens to other types.
///
/// References to other documents are not followed; patterns take linear time.
pub struct Schemas {
    validators: BTreeMap<String, Validator>,
    strict: bool,
}

/// Why an event may not be published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaError {
    /// The type has no schema, and only types with a schema are allowed.
    Unregistered,
    /// The data does not fit: where (RFC 6901) and why, ten at most, without values.
    Mismatch(Vec<(String, String)>),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unregistered => f.write_str("the event's type has no schema"),
            Self::Mismatch(places) => {
                f.write_str("the data does not fit the schema of its type")?;
                for (pointer, why) in places {
                    write!(f, "; at `{pointer}`: {why}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for SchemaError {}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas")
            .field("types", &self.validators.len())
            .field("strict", &self.strict)
            .finish()
    }
}

impl Schemas {
    /// Schemas by type: `{"booking.created": {"type": "object"}, "typing.*": true}`.
    ///
    /// A type takes its own schema, else that of the longest `a.b.*` above it. Draft 2020-12,
    /// unless `$schema` names another one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) that names the type whose schema is wrong.
    pub fn parse(json: &str) -> Result<Self> {
        let schemas: BTreeMap<String, Value> = serde_json::from_str(json)
            .map_err(|e| Error::config(format!("not an object of schemas by type: {e}")))?;
        if schemas.len() > MOST_SCHEMAS {
            return Err(Error::config(format!("more than {MOST_SCHEMAS} schemas")));
        }
        let mut validators = BTreeMap::new();
        for (kind, schema) in schemas {
            check_name(kind.strip_suffix(".*").unwrap_or(&kind))
                .map_err(|_| Error::config(format!("`{kind}` is not `a.b` or `a.*`")))?;
            let validator = jsonschema::options()
                .with_pattern_options(PatternOptions::regex())
                .build(&schema)
                .map_err(|e| Error::config(format!("the schema of `{kind}`: {}", e.masked())))?;
            validators.insert(kind, validator);
        }
        Ok(Self {
            validators,
            strict: false,
        })
    }

    /// Allows only types that have a schema.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Checks an event's data.
    ///
    /// # Errors
    /// Why it may not be published.
    pub fn check(&self, event: &Event) -> Result<(), SchemaError> {
        let Some(validator) = self.of(&event.kind) else {
            return if self.strict {
                Err(SchemaError::Unregistered)
            } else {
                Ok(())
            };
        };
        if event.data_base64.is_some() {
            let place = (String::new(), "it is not JSON".to_owned());
            return Err(SchemaError::Mismatch(vec![place]));
        }
        let data = event.data.as_ref().unwrap_or(&Value::Null);
        let mismatches = validator.iter_errors(data).take(MOST_MISMATCHES);
        let places: Vec<_> = mismatches
            .map(|e| (e.instance_path().to_string(), e.masked().to_string()))
            .collect();
        if places.is_empty() {
            return Ok(());
        }
        Err(SchemaError::Mismatch(places))
    }

    fn of(&self, kind: &str) -> Option<&Validator> {
        if let Some(own) = self.validators.get(kind) {
            return Some(own);
        }
        let mut above = kind.rmatch_indices('.').map(|(end, _)| &kind[..end]);
        above.find_map(|prefix| self.validators.get(&format!("{prefix}.*")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn schemas() -> Schemas {
        let schemas = json!({
            "booking.created": {
                "type": "object",
                "required": ["id"],
                "properties": { "id": { "type": "integer" }, "name": { "type": "string", "maxLength": 3 } }
            },
            "booking.*": { "type": "object" },
            "booking.paid.*": { "type": "array" }
        });
        Schemas::parse(&schemas.to_string()).unwrap()
    }

    fn check(schemas: &Schemas, kind: &str, data: Value) -> Result<(), SchemaError> {
        schemas.check(&Event::new(kind, "/", data).unwrap())
    }

    #[test]
    fn data_fits_the_nearest_schema_of_its_type() {
        let schemas = schemas();
        assert_eq!(
            check(&schemas, "booking.created", json!({ "id": 1 })),
            Ok(())
        );
        assert_eq!(check(&schemas, "booking.moved", json!({})), Ok(()));
        assert!(check(&schemas, "booking.moved", json!(1)).is_err());
        assert_eq!(check(&schemas, "booking.paid.twice", json!([])), Ok(()));
        assert!(check(&schemas, "booking.paid.twice", json!({})).is_err());
        assert_eq!(check(&schemas, "other", json!(1)), Ok(()));
        let strict = schemas.strict();
        let unknown = check(&strict, "other", json!(1));
        assert_eq!(unknown, Err(SchemaError::Unregistered));
    }

    #[test]
    fn a_mismatch_tells_where_and_never_the_value() {
        let data = json!({ "id": "secret-1", "name": "secret-2" });
        let error = check(&schemas(), "booking.created", data).unwrap_err();
        let SchemaError::Mismatch(places) = &error else {
            panic!("{error}");
        };
        let pointers: Vec<&str> = places.iter().map(|(p, _)| p.as_str()).collect();
        assert_eq!(pointers, ["/id", "/name"]);
        assert!(!error.to_string().contains("secret"), "{error}");
        let none = Event::from_json(json!({ "type": "booking.created" })).unwrap();
        assert!(schemas().check(&none).is_err());
    }

    #[test]
    fn schemas_that_are_wrong_or_elsewhere_are_refused() {
        for json in [
            "[]",
            r#"{"a b":{}}"#,
            r#"{"a":{"type":"nothing"}}"#,
            r#"{"a":{"$ref":"https://example.com/schema.json"}}"#,
            r#"{"a":{"$ref":"file:///etc/passwd"}}"#,
            r#"{"a":{"pattern":"("}}"#,
        ] {
            assert!(Schemas::parse(json).is_err(), "{json}");
        }
    }
}

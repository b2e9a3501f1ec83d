//! The schemas of event types, in a build that has them.

use restis::events::Event;
#[cfg(feature = "schemas")]
use restis::events::{SchemaError, Schemas};
use serde::Serialize;
use std::fmt;
#[cfg(feature = "schemas")]
use std::sync::Arc;

/// `EVENTS_SCHEMAS` or `EVENTS_SCHEMAS_FILE`; checks nothing without them.
#[derive(Debug, Clone, Default)]
pub struct EventSchemas(#[cfg(feature = "schemas")] Option<Arc<Schemas>>);

/// Why an event is not published.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mismatch {
    text: String,
    /// Where (RFC 6901), and why.
    pub(crate) places: Vec<Place>,
}

/// One place of the data that does not fit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Place {
    pointer: String,
    detail: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(feature = "schemas")]
impl From<Schemas> for EventSchemas {
    fn from(schemas: Schemas) -> Self {
        Self(Some(Arc::new(schemas)))
    }
}

impl EventSchemas {
    /// Reads `EVENTS_SCHEMAS`, `EVENTS_SCHEMAS_FILE` and `EVENTS_UNREGISTERED_TYPES`.
    #[cfg(feature = "schemas")]
    pub(crate) fn from_vars(
        var: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut problem = |text: String| {
            problems.push(text);
            Self::default()
        };
        let strict = match var("EVENTS_UNREGISTERED_TYPES").as_deref() {
            None | Some("accept") => false,
            Some("reject") => true,
            Some(_) => return problem("EVENTS_UNREGISTERED_TYPES: use accept or reject".into()),
        };
        let (name, json) = match (var("EVENTS_SCHEMAS"), var("EVENTS_SCHEMAS_FILE")) {
            (None, None) if strict => {
                return problem("EVENTS_UNREGISTERED_TYPES: needs EVENTS_SCHEMAS".into());
            }
            (None, None) => return Self::default(),
            (Some(_), Some(_)) => {
                return problem("EVENTS_SCHEMAS: EVENTS_SCHEMAS_FILE is set too".into());
            }
            (Some(json), None) => ("EVENTS_SCHEMAS", json),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(json) => ("EVENTS_SCHEMAS_FILE", json),
                Err(error) => return problem(format!("EVENTS_SCHEMAS_FILE: {error}")),
            },
        };
        match Schemas::parse(&json) {
            Ok(schemas) if strict => schemas.strict().into(),
            Ok(schemas) => schemas.into(),
            Err(error) => problem(format!("{name}: {error}")),
        }
    }

    /// Refuses to start rather than to publish what nobody checked.
    #[cfg(not(feature = "schemas"))]
    pub(crate) fn from_vars(
        var: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) -> Self {
        for name in [
            "EVENTS_SCHEMAS",
            "EVENTS_SCHEMAS_FILE",
            "EVENTS_UNREGISTERED_TYPES",
        ] {
            if var(name).is_some() {
                problems.push(format!("{name}: this build lacks the feature `schemas`"));
            }
        }
        Self::default()
    }

    #[cfg(feature = "schemas")]
    pub(crate) fn check(&self, event: &Event) -> Result<(), Mismatch> {
        let Some(schemas) = &self.0 else {
            return Ok(());
        };
        schemas.check(event).map_err(|error| {
            let text = error.to_string();
            let places = match error {
                SchemaError::Mismatch(places) => places,
                _ => Vec::new(),
            };
            let place = |(pointer, detail)| Place { pointer, detail };
            let places = places.into_iter().map(place).collect();
            Mismatch { text, places }
        })
    }

    #[cfg(not(feature = "schemas"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) fn check(&self, _: &Event) -> Result<(), Mismatch> {
        Ok(())
    }
}

//! The schemas of event types, in a build that has them.

use restis::events::Event;
#[cfg(feature = "schemas")]
use restis::events::{SchemaError, Schemas};
use restis::variables::Variables;
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
    pub(crate) fn from_vars(vars: &mut Variables<'_>) -> Self {
        let choices = [("accept", false), ("reject", true)];
        let strict = vars.one_of("EVENTS_UNREGISTERED_TYPES", &choices);
        let strict = strict.unwrap_or(false);
        let parse = |json: &str| {
            let schemas = Schemas::parse(json)?;
            Ok::<_, restis::Error>(if strict { schemas.strict() } else { schemas })
        };
        let is_set = |name| vars.text(name).is_some();
        let schemas = match (is_set("EVENTS_SCHEMAS"), is_set("EVENTS_SCHEMAS_FILE")) {
            (false, false) => {
                if strict {
                    vars.problem("EVENTS_UNREGISTERED_TYPES", "needs EVENTS_SCHEMAS");
                }
                None
            }
            (true, true) => {
                vars.problem("EVENTS_SCHEMAS", "EVENTS_SCHEMAS_FILE is set too");
                None
            }
            (true, false) => vars.parsed("EVENTS_SCHEMAS", parse),
            (false, true) => vars.parsed("EVENTS_SCHEMAS_FILE", |path| {
                let json = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
                parse(&json).map_err(|e| e.to_string())
            }),
        };
        Self(schemas.map(Arc::new))
    }

    /// Refuses to start rather than to publish what nobody checked.
    #[cfg(not(feature = "schemas"))]
    pub(crate) fn from_vars(vars: &mut Variables<'_>) -> Self {
        for name in [
            "EVENTS_SCHEMAS",
            "EVENTS_SCHEMAS_FILE",
            "EVENTS_UNREGISTERED_TYPES",
        ] {
            if vars.text(name).is_some() {
                vars.problem(name, "this build lacks the feature `schemas`");
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

//! Which environment events belong to.

pub use crate::variables::Environment;
use crate::variables::{Variables, environment::NAMES};

impl Environment {
    /// The environment of events: `EVENTS_ENV`, else as [`from_vars`](Self::from_vars).
    ///
    /// `None`, and a problem of the variable, when its value is unknown.
    pub fn of_events(vars: &mut Variables<'_>) -> Option<Self> {
        let [app, vercel, node] = NAMES;
        Self::first_of(vars, &["EVENTS_ENV", app, vercel, node])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_may_have_an_environment_of_their_own() {
        let lookup = |name: &str| match name {
            "EVENTS_ENV" => Some("production".to_owned()),
            "VERCEL_ENV" => Some("preview".to_owned()),
            _ => None,
        };
        let mut vars = Variables::new(&lookup);
        assert_eq!(
            Environment::of_events(&mut vars),
            Some(Environment::Production)
        );
        assert_eq!(
            Environment::from_vars(&mut vars),
            Some(Environment::Staging)
        );
    }
}

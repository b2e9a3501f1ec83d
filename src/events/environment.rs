//! Which environment events belong to.

use std::fmt;

use crate::variables::Variables;

/// An isolated set of keys and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Environment {
    /// `development`
    Development,
    /// `staging`
    Staging,
    /// `production`
    Production,
}

impl Environment {
    /// Finds the environment: `EVENTS_ENV`, `VERCEL_ENV`, `APP_ENV`, `RUST_ENV`, `NODE_ENV`, else development.
    ///
    /// `None`, and a problem of the variable, when its value is unknown: guessing could mix environments.
    pub fn from_vars(vars: &mut Variables<'_>) -> Option<Self> {
        let names = [
            "EVENTS_ENV",
            "VERCEL_ENV",
            "APP_ENV",
            "RUST_ENV",
            "NODE_ENV",
        ];
        let Some(name) = names.into_iter().find(|name| vars.text(name).is_some()) else {
            return Some(Self::Development);
        };
        vars.parsed(name, |value| {
            let environment = Self::parse(&value.to_ascii_lowercase());
            environment
                .ok_or_else(|| format!("`{value}` is not development, staging or production"))
        })
    }

    fn parse(value: &str) -> Option<Self> {
        match value {
            "development" | "dev" | "local" | "test" => Some(Self::Development),
            "staging" | "preview" => Some(Self::Staging),
            "production" | "prod" => Some(Self::Production),
            _ => None,
        }
    }

    /// The name in keys and channels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(set: &[(&str, &str)]) -> Result<Environment, String> {
        let lookup = |name: &str| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut vars = Variables::new(&lookup);
        Environment::from_vars(&mut vars).ok_or_else(|| vars.into_problems().concat())
    }

    #[test]
    fn the_most_specific_variable_wins() {
        assert_eq!(find(&[]), Ok(Environment::Development));
        assert_eq!(
            find(&[("VERCEL_ENV", "preview"), ("NODE_ENV", "production")]),
            Ok(Environment::Staging)
        );
        assert_eq!(
            find(&[("EVENTS_ENV", "production"), ("VERCEL_ENV", "preview")]),
            Ok(Environment::Production)
        );
        assert_eq!(
            find(&[("EVENTS_ENV", " "), ("NODE_ENV", "Production")]),
            Ok(Environment::Production)
        );
    }

    #[test]
    fn an_unknown_value_is_refused_rather_than_guessed() {
        let error = find(&[("APP_ENV", "qa")]).err();
        assert!(error.is_some_and(|e| e.contains("APP_ENV") && e.contains("qa")));
    }
}

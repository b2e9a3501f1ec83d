//! Which environment events belong to.

use std::fmt;

/// An isolated set of keys and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// # Errors
    /// Names the variable whose value is unknown: guessing could mix environments.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        for name in [
            "EVENTS_ENV",
            "VERCEL_ENV",
            "APP_ENV",
            "RUST_ENV",
            "NODE_ENV",
        ] {
            let Some(value) = var(name)
                .map(|v| v.trim().to_ascii_lowercase())
                .filter(|v| !v.is_empty())
            else {
                continue;
            };
            return Self::parse(&value).ok_or_else(|| {
                format!("{name}: `{value}` is not development, staging or production")
            });
        }
        Ok(Self::Development)
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
        Environment::from_vars(|name| {
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
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

//! Which environment a process runs in.

use std::fmt;

use super::Variables;

/// Development, staging or production: one rule for everything that asks.
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

/// The variables that tell the environment; the first that is set decides.
pub(crate) const NAMES: [&str; 3] = ["APP_ENV", "VERCEL_ENV", "NODE_ENV"];

impl Environment {
    /// Finds the environment: the first of `APP_ENV`, `VERCEL_ENV` and `NODE_ENV` that is set,
    /// else development.
    ///
    /// `dev`, `local` and `test` mean development, `preview` means staging, `prod` means production.
    /// `None`, and a problem of the variable, when its value is unknown: a guess could mix the data
    /// of two environments.
    ///
    /// ```
    /// use restis::variables::{Environment, Variables};
    ///
    /// let lookup = |name: &str| (name == "VERCEL_ENV").then(|| "preview".to_owned());
    /// let mut vars = Variables::new(&lookup);
    /// assert_eq!(Environment::from_vars(&mut vars), Some(Environment::Staging));
    /// ```
    pub fn from_vars(vars: &mut Variables<'_>) -> Option<Self> {
        Self::first_of(vars, &NAMES)
    }

    /// The same from other variables.
    pub(crate) fn first_of(vars: &mut Variables<'_>, names: &[&str]) -> Option<Self> {
        let set = names.iter().find(|name| vars.text(name).is_some());
        let Some(name) = set else {
            return Some(Self::Development);
        };
        vars.parsed(name, |value| {
            Self::parse(value)
                .ok_or_else(|| format!("`{value}` is not development, staging or production"))
        })
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "development" | "dev" | "local" | "test" => Some(Self::Development),
            "staging" | "preview" => Some(Self::Staging),
            "production" | "prod" => Some(Self::Production),
            _ => None,
        }
    }

    /// The name in keys, channels and names of files.
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
    fn the_first_variable_that_is_set_decides() {
        use Environment::*;
        for (set, expected) in [
            (&[][..], Development),
            (&[("NODE_ENV", "test")], Development),
            (
                &[("VERCEL_ENV", "preview"), ("NODE_ENV", "production")],
                Staging,
            ),
            (
                &[("APP_ENV", "production"), ("VERCEL_ENV", "preview")],
                Production,
            ),
            (&[("APP_ENV", " "), ("NODE_ENV", "Production")], Production),
        ] {
            assert_eq!(find(set), Ok(expected), "{set:?}");
        }
    }

    #[test]
    fn an_unknown_value_is_refused_rather_than_guessed() {
        let error = find(&[("APP_ENV", "qa")]).err();
        assert!(error.is_some_and(|e| e.contains("APP_ENV") && e.contains("qa")));
    }
}

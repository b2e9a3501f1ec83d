//! Databases and their tokens, from flags, a file or the environment.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Databases and the tokens that open them.
///
/// As JSON an object from token to database:
///
/// ```json
/// {
///   "TOKEN-A": { "name": "acme", "memory": "256mb" },
///   "TOKEN-B": { "name": "acme", "read_only": true },
///   "TOKEN-C": { "name": "other", "redis": "rediss://user:password@host:6379" }
/// }
/// ```
///
/// Tokens with the same name share one database.
#[derive(Clone, Default)]
pub struct Tenants {
    pub(crate) databases: Vec<DatabaseSpec>,
    pub(crate) tokens: Vec<TokenSpec>,
}

#[derive(Clone)]
pub(crate) struct DatabaseSpec {
    pub(crate) name: String,
    pub(crate) memory: Option<u64>,
    pub(crate) redis: Option<String>,
}

#[derive(Clone)]
pub(crate) struct TokenSpec {
    pub(crate) token: String,
    pub(crate) database: usize,
    pub(crate) read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    #[serde(default)]
    read_only: bool,
    memory: Option<Size>,
    redis: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Bytes(u64),
    Text(String),
}

/// A token and what it opens.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Token<'t> {
    /// The token itself.
    pub secret: &'t str,
    /// The name of the database.
    pub database: &'t str,
    /// Whether it may only read.
    pub read_only: bool,
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("database", &self.database)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// Tenants that cannot be used; the text names the place, never a token.
#[derive(Debug)]
pub struct TenantsError(String);

impl fmt::Display for TenantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TenantsError {}

impl Tenants {
    /// No database yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every token with what it opens.
    pub fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        self.tokens.iter().map(|token| Token {
            secret: &token.token,
            database: &self.databases[token.database].name,
            read_only: token.read_only,
        })
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Adds a token with a database of its own, or with the one that has this Redis URL already;
    /// returns the number of the database.
    pub fn add(&mut self, token: &str, redis: Option<&str>) -> usize {
        let shared = |known: &DatabaseSpec| redis.is_some() && known.redis.as_deref() == redis;
        let known = self.databases.iter().position(shared);
        let database = known.unwrap_or(self.databases.len());
        if known.is_none() {
            self.databases.push(DatabaseSpec {
                name: format!("db{database}"),
                memory: None,
                redis: redis.map(str::to_owned),
            });
        }
        self.tokens.push(TokenSpec {
            token: token.to_owned(),
            database,
            read_only: false,
        });
        database
    }

    /// Adds a read-only token for database number `database`.
    ///
    /// # Errors
    /// If there is no such database.
    pub fn add_read_only(&mut self, token: &str, database: usize) -> Result<(), TenantsError> {
        if database >= self.databases.len() {
            return Err(TenantsError(
                "a read-only token needs a full token before it: each belongs to one database"
                    .to_owned(),
            ));
        }
        self.tokens.push(TokenSpec {
            token: token.to_owned(),
            database,
            read_only: true,
        });
        Ok(())
    }

    /// Adds every tenant of a JSON document.
    ///
    /// # Errors
    /// If the document is not as described above, or contradicts itself.
    pub fn add_json(&mut self, json: &[u8]) -> Result<(), TenantsError> {
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(json).map_err(|error| {
            // serde_json's text quotes the input, which may hold a token.
            TenantsError(format!(
                "tenants: not as expected at line {} column {}: an object from token to {{name, read_only, memory, redis}}",
                error.line(),
                error.column()
            ))
        })?;
        for (number, (token, entry)) in entries.into_iter().enumerate() {
            let name = entry.name.unwrap_or_else(|| format!("tenant{number}"));
            if token.is_empty() || token.trim() != token {
                return Err(TenantsError(format!(
                    "tenants: the token of `{name}` is empty or has spaces around it"
                )));
            }
            let memory = entry.memory.map(|size| match size {
                Size::Bytes(bytes) => Ok(bytes),
                Size::Text(text) => parse_bytes(&text)
                    .map_err(|error| TenantsError(format!("tenants: memory of `{name}`: {error}"))),
            });
            let memory = memory.transpose()?;
            let database = self.database(name, memory, entry.redis)?;
            self.tokens.push(TokenSpec {
                token,
                database,
                read_only: entry.read_only,
            });
        }
        Ok(())
    }

    /// The names of databases that are kept in memory.
    pub fn in_memory(&self) -> impl Iterator<Item = &str> {
        let in_memory = self.databases.iter().filter(|spec| spec.redis.is_none());
        in_memory.map(|spec| spec.name.as_str())
    }

    fn database(
        &mut self,
        name: String,
        memory: Option<u64>,
        redis: Option<String>,
    ) -> Result<usize, TenantsError> {
        let Some(index) = self.databases.iter().position(|known| known.name == name) else {
            self.databases.push(DatabaseSpec {
                name,
                memory,
                redis,
            });
            return Ok(self.databases.len() - 1);
        };
        let known = &mut self.databases[index];
        let conflict = |what: &str| {
            TenantsError(format!(
                "tenants: `{name}` is given two different values for {what}"
            ))
        };
        match (&known.memory, memory) {
            (Some(a), Some(b)) if *a != b => return Err(conflict("memory")),
            (None, Some(_)) => known.memory = memory,
            _ => {}
        }
        match (&known.redis, &redis) {
            (Some(a), Some(b)) if a != b => return Err(conflict("redis")),
            (None, Some(_)) => known.redis = redis,
            _ => {}
        }
        Ok(index)
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants")
            .field("databases", &self.databases.len())
            .field("tokens", &self.tokens.len())
            .finish()
    }
}

/// Parses a size such as `256mb`, `1gb`, `512kb` or `1048576`.
///
/// # Errors
/// If the text is not a size above zero.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("`{text}` is not a size such as 256mb or 1gb")),
    };
    digits
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("`{text}` is not a size such as 256mb or 1gb"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tokens_of_one_name_share_a_database() {
        let mut tenants = Tenants::new();
        tenants.add("first", None);
        tenants
            .add_json(
                br#"{"a":{"name":"acme","memory":"1mb"},"b":{"name":"acme","read_only":true},
                     "c":{"redis":"redis://127.0.0.1:1"}}"#,
            )
            .unwrap();
        assert_eq!(tenants.databases.len(), 3);
        assert_eq!(tenants.databases[1].memory, Some(1 << 20));
        let of_acme: Vec<bool> = tenants
            .tokens
            .iter()
            .filter(|token| token.database == 1)
            .map(|token| token.read_only)
            .collect();
        assert_eq!(of_acme, [false, true]);
        assert!(tenants.databases[2].redis.is_some());
    }

    #[test]
    fn tokens_of_one_redis_url_share_a_database() {
        let mut tenants = Tenants::new();
        assert_eq!(tenants.add("a", Some("redis://h")), 0);
        assert_eq!(tenants.add("b", Some("redis://h")), 0);
        assert_eq!(tenants.add("c", Some("redis://other")), 1);
        assert_eq!(tenants.add("d", None), 2);
        assert_eq!(tenants.add("e", None), 3);
    }

    #[test]
    fn errors_never_show_a_token() {
        for json in [
            r#"{"SECRET":{"nmae":"x"}}"#,
            r#"{"SECRET":"#,
            r#"["SECRET"]"#,
            r#"{" SECRET":{"name":"x"}}"#,
            r#"{"SECRET":{"name":"x","memory":"many"}}"#,
            r#"{"SECRET":{"name":"x","memory":1},"SECRET2":{"name":"x","memory":2}}"#,
        ] {
            let error = Tenants::new().add_json(json.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("256mb"), Ok(256 << 20));
        assert_eq!(parse_bytes("1 GB"), Ok(1 << 30));
        assert_eq!(parse_bytes("77"), Ok(77));
        for bad in ["", "0", "1.5gb", "mb", "-1", "99999999999gb"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}

//! The database that a command asks.

use clap::Args;
use restis::config::Builder;
use restis::variables::{Variables, get};

use crate::failure::Failure;

/// Options that choose a database.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DatabaseArgs {
    /// REST address of the database; UPSTASH_REDIS_REST_URL and the other variables of the client
    /// when it is absent
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Its token; other users of this machine see it: UPSTASH_REDIS_REST_TOKEN hides it
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

/// A database, and how it is reached.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) builder: Builder,
    /// The REST address.
    pub(crate) url: String,
}

impl DatabaseArgs {
    /// The database that the options or the environment name.
    ///
    /// # Errors
    /// Every problem of the variables; wrong usage.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let lookup = |name: &str| self.variable(name);
        let mut vars = Variables::new(&lookup);
        let builder = Builder::from_vars(&mut vars);
        let problems = vars.into_problems();
        if !problems.is_empty() {
            return Err(Failure::usage(problems.join("\nrestis: ")));
        }
        let missing = "no database is configured: set UPSTASH_REDIS_REST_URL and \
                       UPSTASH_REDIS_REST_TOKEN, or give --url and --token; `restis config` tells \
                       what is set";
        let builder = builder.ok_or_else(|| Failure::usage(missing))?;
        let url = builder.url().unwrap_or_default().to_owned();
        Ok(Target { builder, url })
    }

    /// A variable as the options leave it.
    fn variable(&self, name: &str) -> Option<String> {
        let Some(url) = &self.url else {
            return match (name, &self.token) {
                ("UPSTASH_REDIS_REST_TOKEN", Some(token)) => Some(token.clone()),
                _ => get(name),
            };
        };
        let scheme = url.split("://").next().unwrap_or_default();
        let of_redis = scheme.starts_with("redis") || scheme == "unix";
        match name {
            "UPSTASH_REDIS_REST_URL" if !of_redis => Some(url.clone()),
            // An address of the Redis protocol is answered with the line that helps.
            "REDIS_URL" if of_redis => Some(url.clone()),
            "UPSTASH_REDIS_REST_TOKEN" if !of_redis => self.token.clone().or_else(|| get(name)),
            "UPSTASH_REDIS_REST_URL" | "UPSTASH_REDIS_REST_TOKEN" | "REDIS_URL" | "KV_URL" => None,
            name if name.starts_with("KV_REST_API_") => None,
            name => get(name),
        }
    }
}

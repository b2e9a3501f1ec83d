//! Configuration from environment variables.
use std::time::Duration;

use url::Url;

use crate::{
    client::{Redis, config::Builder},
    protocol::error::{Error, Result},
    transport::address,
};

/// URL and token variables in the order they are tried.
const REST: [(&str, &[&str]); 2] = [
    ("UPSTASH_REDIS_REST_URL", &["UPSTASH_REDIS_REST_TOKEN"]),
    (
        "KV_REST_API_URL",
        &["KV_REST_API_TOKEN", "KV_REST_API_READ_ONLY_TOKEN"],
    ),
];
const TCP: [&str; 2] = ["REDIS_URL", "KV_URL"];

impl Redis {
    /// A client configured by the environment.
    ///
    /// | variable | |
    /// |---|---|
    /// | `UPSTASH_REDIS_REST_URL`, `UPSTASH_REDIS_REST_TOKEN` | the database |
    /// | `KV_REST_API_URL`, `KV_REST_API_TOKEN` or `KV_REST_API_READ_ONLY_TOKEN` | the same, when the former are not set |
    /// | `REDIS_URL` or `KV_URL` | the same, as `rediss://default:TOKEN@HOST.upstash.io:6379` |
    /// | `REDIS_CONNECT_TIMEOUT` | of one connection; 1 s; a number is milliseconds, also `500ms`, `2s` |
    /// | `REDIS_COMMAND_TIMEOUT` | of a call, all attempts included; 2 s |
    /// | `REDIS_MAX_RETRIES` | 0 to 10; 3 |
    /// | `REDIS_CA_FILE` | PEM file of certificate authorities to trust besides the web's |
    /// | `UPSTASH_DISABLE_TELEMETRY` | anything: no telemetry headers |
    /// | `SKIP_REDIS_WARNING` | `true`: no warning about the in-process store |
    ///
    /// Without a database, in development and with the feature `embedded`, the client
    /// works on a store in this process, after one warning a process. On a platform or with an
    /// environment named `production` that is an error.
    ///
    /// # Errors
    /// `Config` with every problem at once.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// Like [`from_env`](Self::from_env), from any source of variables.
    ///
    /// # Errors
    /// `Config` with every problem at once.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Vec::new();
        let vars = Vars { var: &var };
        let database = vars.database(&mut problems);
        let settings = vars.settings(&mut problems);
        if !problems.is_empty() {
            return Err(Error::config(problems.join("; ")));
        }
        match database {
            Some((url, token)) => settings.apply(Builder::new(url, token)).build(),
            None => vars.in_process(settings),
        }
    }
}

#[derive(Default)]
struct Settings {
    connect_timeout: Option<Duration>,
    timeout: Option<Duration>,
    max_retries: Option<u32>,
    root_certificates: Vec<u8>,
    telemetry: bool,
}

impl Settings {
    fn apply(&self, mut builder: Builder) -> Builder {
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(retries) = self.max_retries {
            builder = builder.max_retries(retries);
        }
        if !self.root_certificates.is_empty() {
            builder = builder.root_certificates(&self.root_certificates);
        }
        builder.telemetry(self.telemetry)
    }
}

struct Vars<'a> {
    var: &'a dyn Fn(&str) -> Option<String>,
}

impl Vars<'_> {
    /// A variable that holds something; an empty one counts as not set.
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.var)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn database(&self, problems: &mut Vec<String>) -> Option<(String, String)> {
        for (url_name, token_names) in REST {
            let token = token_names.iter().find_map(|n| Some((*n, self.get(n)?)));
            match (self.get(url_name), token) {
                (Some(url), Some((token_name, token))) => {
                    check_url(url_name, &url, problems);
                    check_token(token_name, &token, problems);
                    return Some((url, token));
                }
                (Some(url), None) => {
                    check_url(url_name, &url, problems);
                    problems.push(format!("{} is not set", token_names.join(" or ")));
                    return None;
                }
                (None, Some((token_name, _))) => {
                    problems.push(format!("{token_name} is set but {url_name} is not"));
                    return None;
                }
                (None, None) => {}
            }
        }
        TCP.iter()
            .find_map(|name| Some((*name, self.get(name)?)))
            .and_then(|(name, url)| {
                from_tcp_url(name, &url)
                    .map_err(|problem| problems.push(problem))
                    .ok()
            })
    }

    fn settings(&self, problems: &mut Vec<String>) -> Settings {
        let mut duration = |name: &str| {
            let value = self.get(name)?;
            let parsed = parse_duration(&value);
            if parsed.is_none() {
                problems.push(format!(
                    "{name} must be milliseconds above 0, or like 500ms or 2s"
                ));
            }
            parsed
        };
        let connect_timeout = duration("REDIS_CONNECT_TIMEOUT");
        let timeout = duration("REDIS_COMMAND_TIMEOUT");
        let max_retries = self.get("REDIS_MAX_RETRIES").and_then(|value| {
            let parsed = value.parse().ok().filter(|n| *n <= 10);
            if parsed.is_none() {
                problems.push("REDIS_MAX_RETRIES must be a number from 0 to 10".to_owned());
            }
            parsed
        });
        let root_certificates = match self.get("REDIS_CA_FILE").map(std::fs::read) {
            None => Vec::new(),
            Some(Ok(pem)) if !pem.is_empty() => pem,
            Some(Ok(_)) => {
                problems.push("REDIS_CA_FILE is empty".to_owned());
                Vec::new()
            }
            Some(Err(error)) => {
                problems.push(format!("REDIS_CA_FILE cannot be read: {}", error.kind()));
                Vec::new()
            }
        };
        let telemetry = self.get("UPSTASH_DISABLE_TELEMETRY").is_none();
        Settings {
            connect_timeout,
            timeout,
            max_retries,
            root_certificates,
            telemetry,
        }
    }

    /// The name of what makes this production, if anything does.
    fn production(&self) -> Option<&'static str> {
        // Local stand-ins of the platforms.
        if self.get("AWS_SAM_LOCAL").is_some()
            || self.get("VERCEL_ENV").is_some_and(|v| v == "development")
        {
            return None;
        }
        let platform = [
            "VERCEL",
            "AWS_LAMBDA_FUNCTION_NAME",
            "K_SERVICE",
            "FLY_APP_NAME",
        ];
        if let Some(name) = platform.into_iter().find(|name| self.get(name).is_some()) {
            return Some(name);
        }
        ["APP_ENV", "NODE_ENV", "RUST_ENV"]
            .into_iter()
            .find(|name| {
                self.get(name)
                    .is_some_and(|v| v.eq_ignore_ascii_case("production"))
            })
    }

    fn in_process(&self, settings: Settings) -> Result<Redis> {
        let looked_for = "set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN \
             (or KV_REST_API_URL and KV_REST_API_TOKEN, or REDIS_URL of Upstash)";
        if let Some(why) = self.production() {
            return Err(Error::config(format!(
                "no database is configured and {why} says that this is not development; {looked_for}"
            )));
        }
        #[cfg(feature = "embedded")]
        {
            static WARNING: std::sync::Once = std::sync::Once::new();
            if self
                .get("SKIP_REDIS_WARNING")
                .is_none_or(|v| v == "false" || v == "0")
            {
                WARNING.call_once(|| {
                    tracing::warn!(
                        "no database is configured: data lives in this process only; {looked_for}"
                    );
                });
            }
            let transport = crate::transport::embedded::EmbeddedTransport::new(shared_engine());
            settings.apply(Builder::over(transport)).build()
        }
        #[cfg(not(feature = "embedded"))]
        {
            let _ = settings;
            Err(Error::config(format!(
                "no database is configured; {looked_for}"
            )))
        }
    }
}

/// One store a process, however many clients are made.
#[cfg(feature = "embedded")]
fn shared_engine() -> restis_engine::Engine {
    use std::sync::OnceLock;
    static ENGINE: OnceLock<restis_engine::Engine> = OnceLock::new();
    ENGINE
        .get_or_init(|| restis_engine::Engine::new(restis_engine::Options::default()))
        .clone()
}

fn is_quoted(value: &str) -> bool {
    value.starts_with(['"', '\'', '`']) || value.ends_with(['"', '\'', '`'])
}

fn check_url(name: &str, value: &str, problems: &mut Vec<String>) {
    let scheme = value
        .split("://")
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if is_quoted(value) {
        problems.push(format!("{name} is in quotes; remove them"));
    } else if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        problems.push(format!("{name} holds a space or a line break"));
    } else if scheme == "redis" || scheme == "rediss" {
        problems.push(format!(
            "{name} is a {scheme}:// address; it must be the REST URL, like https://example.upstash.io"
        ));
    } else if parse_rest_url(value).is_none() {
        problems.push(format!(
            "{name} must be a URL like https://example.upstash.io"
        ));
    }
}

fn check_token(name: &str, value: &str, problems: &mut Vec<String>) {
    if is_quoted(value) {
        problems.push(format!("{name} is in quotes; remove them"));
    } else if value.to_ascii_lowercase().starts_with("bearer ") {
        problems.push(format!("{name} must be the token alone, without Bearer"));
    } else if value.contains("://") {
        problems.push(format!("{name} is a URL; it must be the REST token"));
    } else if value.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        problems.push(format!("{name} holds a character that no token has"));
    }
}

pub(crate) fn parse_rest_url(value: &str) -> Option<Url> {
    address::parse(value).filter(|u| matches!(u.scheme(), "https" | "http") && u.has_host())
}

/// `rediss://default:TOKEN@HOST.upstash.io:6379` → REST URL and token.
fn from_tcp_url(name: &str, value: &str) -> Result<(String, String), String> {
    let serve = format!(
        "{name} is not an Upstash address; for a Redis of your own run `restis serve --redis URL` \
         and set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN to it"
    );
    if is_quoted(value) {
        return Err(format!("{name} is in quotes; remove them"));
    }
    let url = address::parse(value).ok_or_else(|| format!("{name} is not a URL"))?;
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "redis" | "rediss") || !host.ends_with(".upstash.io") {
        return Err(serve);
    }
    let token = percent_encoding::percent_decode_str(url.password().unwrap_or_default())
        .decode_utf8()
        .map_err(|_| format!("{name} holds a password that is not text"))?;
    if token.is_empty() {
        return Err(format!("{name} holds no password"));
    }
    Ok((format!("https://{host}"), token.into_owned()))
}

/// `1500`, `1500ms` or `1.5s`; above zero, at most an hour.
fn parse_duration(value: &str) -> Option<Duration> {
    let (number, unit_ms) = if let Some(number) = value.strip_suffix("ms") {
        (number, 1.0)
    } else if let Some(number) = value.strip_suffix('s') {
        (number, 1000.0)
    } else {
        (value, 1.0)
    };
    let ms = number.trim().parse::<f64>().ok()? * unit_ms;
    (1.0..=3_600_000.0)
        .contains(&ms)
        .then(|| Duration::from_micros((ms * 1000.0) as u64))
}

#[cfg(test)]
mod tests;

//! Configuration from environment variables.
mod providers;

use std::time::Duration;

use url::Url;

use crate::{
    client::{
        Redis,
        config::Builder,
        variables::{self, Environment, Unit, Variables, environment},
    },
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
    /// A client configured by the environment and the [`.env` files](crate::variables::EnvFiles).
    ///
    /// | variable | |
    /// |---|---|
    /// | `UPSTASH_REDIS_REST_URL`, `UPSTASH_REDIS_REST_TOKEN` | the database |
    /// | `KV_REST_API_URL`, `KV_REST_API_TOKEN` or `KV_REST_API_READ_ONLY_TOKEN` | the same, when the former are not set |
    /// | `REDIS_URL` or `KV_URL` | the same, as `rediss://default:TOKEN@HOST.upstash.io:6379` |
    /// | `REDIS_CONNECT_TIMEOUT` | of one connection; 1 s; a bare number counts milliseconds, also `500ms`, `2s` |
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
        Self::from_vars(variables::get)
    }

    /// Like [`from_env`](Self::from_env), from any source of variables.
    ///
    /// # Errors
    /// `Config` with every problem at once.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut vars = Variables::new(&var);
        let (database, settings) = read(&mut vars);
        if !vars.problems().is_empty() {
            return Err(Error::config(vars.problems().join("; ")));
        }
        match database {
            Some((url, token)) => settings.apply(Builder::new(url, token)).build(),
            None => in_process(&mut vars, &settings),
        }
    }
}

impl Builder {
    /// A builder by the variables of [`Redis::from_env`].
    ///
    /// `None` when a variable is wrong, which becomes a problem of `vars`, or no database is
    /// configured, which does not.
    pub fn from_vars(vars: &mut Variables<'_>) -> Option<Self> {
        let before = vars.problems().len();
        let (database, settings) = read(vars);
        let (url, token) = database.filter(|_| vars.problems().len() == before)?;
        Some(settings.apply(Self::new(url, token)))
    }
}

/// URL and token of the database, if one is configured, and how it is used.
fn read(vars: &mut Variables<'_>) -> (Option<(String, String)>, Settings) {
    (database(vars), Settings::read(vars))
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
    fn read(vars: &mut Variables<'_>) -> Self {
        let range = Duration::from_millis(1)..=Duration::from_secs(3600);
        let mut time = |name| vars.duration(name, Unit::Milliseconds, range.clone());
        Self {
            connect_timeout: time("REDIS_CONNECT_TIMEOUT"),
            timeout: time("REDIS_COMMAND_TIMEOUT"),
            max_retries: vars.number("REDIS_MAX_RETRIES", 0..=10).map(|n| n as u32),
            root_certificates: vars
                .parsed("REDIS_CA_FILE", certificates)
                .unwrap_or_default(),
            telemetry: vars.text("UPSTASH_DISABLE_TELEMETRY").is_none(),
        }
    }

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

fn certificates(path: &str) -> Result<Vec<u8>, String> {
    match std::fs::read(path) {
        Ok(pem) if pem.is_empty() => Err("the file is empty".to_owned()),
        Ok(pem) => Ok(pem),
        Err(error) => Err(format!("the file cannot be read: {}", error.kind())),
    }
}

fn check(vars: &mut Variables<'_>, name: &str, found: Result<(), String>) {
    if let Err(problem) = found {
        vars.problem(name, problem);
    }
}

fn database(vars: &mut Variables<'_>) -> Option<(String, String)> {
    for (url_name, token_names) in REST {
        let token = token_names.iter().find_map(|n| Some((*n, vars.text(n)?)));
        match (vars.text(url_name), token) {
            (Some(url), Some((token_name, token))) => {
                check(vars, url_name, check_url(&url));
                check(vars, token_name, check_token(&token));
                return Some((url, token));
            }
            (Some(url), None) => {
                check(vars, url_name, check_url(&url));
                vars.problem(&token_names.join(" or "), "not set");
                return None;
            }
            (None, Some((token_name, _))) => {
                vars.problem(url_name, format_args!("not set, but {token_name} is"));
                return None;
            }
            (None, None) => {}
        }
    }
    let name = TCP.into_iter().find(|name| vars.text(name).is_some())?;
    vars.parsed(name, |value| from_tcp_url(name, value))
}

/// The name of what makes this more than development, if anything does.
fn deployed(vars: &mut Variables<'_>) -> Option<&'static str> {
    // Local stand-ins of the platforms.
    if vars.text("AWS_SAM_LOCAL").is_some()
        || vars.text("VERCEL_ENV").is_some_and(|v| v == "development")
    {
        return None;
    }
    let platform = [
        "VERCEL",
        "AWS_LAMBDA_FUNCTION_NAME",
        "K_SERVICE",
        "FLY_APP_NAME",
    ];
    let set = |names: &[&'static str], vars: &Variables<'_>| {
        let mut names = names.iter().copied();
        names.find(|name| vars.text(name).is_some())
    };
    set(&platform, vars).or_else(|| {
        let name = set(&environment::NAMES, vars)?;
        let environment = Environment::from_vars(vars);
        (environment != Some(Environment::Development)).then_some(name)
    })
}

fn in_process(vars: &mut Variables<'_>, settings: &Settings) -> Result<Redis> {
    let looked_for = "set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN \
             (or KV_REST_API_URL and KV_REST_API_TOKEN, or REDIS_URL of Upstash)";
    let deployed = deployed(vars);
    if let Some(why) = deployed {
        return Err(Error::config(format!(
            "no database is configured and {why} says that this is not development; {looked_for}"
        )));
    }
    // A damaged one could be what makes this production.
    if !vars.problems().is_empty() {
        return Err(Error::config(vars.problems().join("; ")));
    }
    #[cfg(feature = "embedded")]
    {
        static WARNING: std::sync::Once = std::sync::Once::new();
        if vars
            .text("SKIP_REDIS_WARNING")
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

fn check_url(value: &str) -> Result<(), String> {
    let scheme = value.split("://").next().unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if is_quoted(value) {
        Err("remove the quotes".to_owned())
    } else if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Err("remove the space or line break".to_owned())
    } else if scheme == "redis" || scheme == "rediss" {
        Err(format!(
            "use the REST URL, like https://example.upstash.io, not a {scheme}:// address"
        ))
    } else if parse_rest_url(value).is_none() {
        Err("use a URL like https://example.upstash.io".to_owned())
    } else {
        Ok(())
    }
}

fn check_token(value: &str) -> Result<(), String> {
    let problem = if is_quoted(value) {
        "remove the quotes"
    } else if value.to_ascii_lowercase().starts_with("bearer ") {
        "use the token alone, without Bearer"
    } else if value.contains("://") {
        "use the REST token, not a URL"
    } else if value.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        "use the token: no token has spaces, control characters or others than ASCII"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}

pub(crate) fn parse_rest_url(value: &str) -> Option<Url> {
    address::parse(value).filter(|u| matches!(u.scheme(), "https" | "http") && u.has_host())
}

/// `rediss://default:TOKEN@HOST.upstash.io:6379` → REST URL and token.
fn from_tcp_url(name: &str, value: &str) -> Result<(String, String), String> {
    if is_quoted(value) {
        return Err("remove the quotes".to_owned());
    }
    let Some(host) = providers::upstash(value) else {
        return Err(providers::advice(name, value));
    };
    let url = address::parse(value).ok_or_else(|| "use a URL".to_owned())?;
    let token = percent_encoding::percent_decode_str(url.password().unwrap_or_default())
        .decode_utf8()
        .map_err(|_| "use a password that is text".to_owned())?;
    if token.is_empty() {
        return Err("put the token into it, as the password".to_owned());
    }
    Ok((format!("https://{host}"), token.into_owned()))
}

#[cfg(test)]
mod tests;

//! The platforms: one binary serves on plain HTTP, Vercel and AWS Lambda.

mod http;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "lambda")]
mod lambda_event;
mod linger;
#[cfg(feature = "vercel")]
mod vercel;

use crate::{AppState, ConfigError, app};
use axum::Router;
#[cfg(feature = "otel")]
use restis::metrics::Families;
use restis::variables::{Variables, get, of_process};
use std::{io::Write as _, process::ExitCode, time::Duration};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    prelude::*,
};

pub(crate) use self::http::Stopping;
pub use self::http::serve;

/// The platform that a process runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host {
    /// Plain HTTP on `PORT`, 3000 by default.
    Http,
    /// Vercel's function runtime; served with the feature `vercel`.
    Vercel,
    /// AWS Lambda: API Gateway, function URL or load balancer; served with the feature `lambda`.
    Lambda {
        /// The function's URL or gateway streams answers (`LAMBDA_INVOKE_MODE=RESPONSE_STREAM`).
        streaming: bool,
    },
}

impl Host {
    /// Finds the platform from the environment.
    ///
    /// `PORT` is asked first: Vercel's proxy and the AWS web adapter set it beside their own variables.
    pub fn detect() -> Self {
        Self::from_vars(of_process)
    }

    pub(crate) fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| vars(name).is_some_and(|v| !v.is_empty());
        if set("PORT") {
            Self::Http
        } else if set("VERCEL_IPC_PATH") || set("VERCEL_DEV_PORT") {
            Self::Vercel
        } else if set("AWS_LAMBDA_RUNTIME_API") {
            let mode = vars("LAMBDA_INVOKE_MODE").unwrap_or_default();
            Self::Lambda {
                streaming: mode.eq_ignore_ascii_case("RESPONSE_STREAM"),
            }
        } else {
            Self::Http
        }
    }

    /// How long a stream may be within the limits that `vercel.json` and `deploy/lambda` set.
    pub(crate) fn stream_time(self) -> Duration {
        Duration::from_secs(match self {
            Self::Http => 240,
            Self::Vercel => 55,
            Self::Lambda { .. } => 25,
        })
    }

    /// Whether an answer's body can be sent piece by piece.
    pub fn streams(self) -> bool {
        !matches!(self, Self::Lambda { streaming: false })
    }
}

/// Why the function could not start or had to stop.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostError {
    /// The configuration is wrong.
    Config(ConfigError),
    /// The address cannot be listened on.
    Bind(std::io::Error),
    /// This build lacks the feature of the platform.
    Unsupported(&'static str),
    /// The platform's runtime failed.
    Runtime(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Bind(error) => write!(f, "cannot listen: {error}"),
            Self::Unsupported(feature) => {
                write!(f, "this build lacks the feature `{feature}`")
            }
            Self::Runtime(error) => write!(f, "the platform's runtime failed: {error}"),
        }
    }
}

impl std::error::Error for HostError {}

/// Serves the API on the platform found in the environment until it ends.
///
/// # Errors
/// [`HostError`] when the configuration is wrong or the platform's runtime fails.
pub async fn run() -> Result<(), HostError> {
    let host = Host::detect();
    let state = AppState::from_env(host).map_err(HostError::Config)?;
    if state.tokens().is_empty() {
        tracing::warn!(
            "no service token is accepted: every route that needs one refuses everybody; set RESTIS_SERVICE_TOKEN or RESTIS_SERVICE_TOKENS"
        );
    }
    #[cfg(feature = "otel")]
    if let Some(telemetry) = state.telemetry().cloned()
        && host == Host::Http
    {
        let served = run_on(host, app(state));
        return telemetry
            .run_beside(served, async || Families::default())
            .await;
    }
    #[cfg(not(feature = "otel"))]
    if get("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|endpoint| !endpoint.trim().is_empty()) {
        tracing::warn!(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this build lacks the feature `otel`"
        );
    }
    run_on(host, app(state)).await
}

/// Serves any router on a platform until it ends, with deferred work finished as the platform wants it.
///
/// # Errors
/// [`HostError`] when the platform's runtime fails or this build lacks its feature.
pub async fn run_on(host: Host, app: Router) -> Result<(), HostError> {
    match host {
        Host::Http => http::run(app).await,
        #[cfg(feature = "vercel")]
        Host::Vercel => vercel::run(app).await,
        #[cfg(not(feature = "vercel"))]
        Host::Vercel => Err(HostError::Unsupported("vercel")),
        #[cfg(feature = "lambda")]
        Host::Lambda { streaming } => lambda::run(app, streaming).await,
        #[cfg(not(feature = "lambda"))]
        Host::Lambda { .. } => Err(HostError::Unsupported("lambda")),
    }
}

/// [`run`] on a single-threaded runtime, with logs; for a `main` function.
pub fn run_blocking() -> ExitCode {
    // `RUST_LOG` names levels by target, such as `warn,restis=info`.
    let mut vars = Variables::new(&get);
    let filter = vars.parsed("RUST_LOG", str::parse::<Targets>);
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN)));
    let _ = tracing_subscriber::registry().with(logs).try_init();
    for problem in vars.into_problems() {
        tracing::warn!("{problem}");
    }
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| HostError::Runtime(e.into()))
        .and_then(|runtime| runtime.block_on(run()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "restis: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(set: &[(&str, &str)]) -> Host {
        Host::from_vars(|name| {
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn a_port_wins_over_the_platforms_own_variables() {
        assert_eq!(
            detect(&[("PORT", "80"), ("VERCEL_IPC_PATH", "/ipc")]),
            Host::Http
        );
        assert_eq!(
            detect(&[("PORT", "80"), ("AWS_LAMBDA_RUNTIME_API", "host")]),
            Host::Http
        );
    }

    #[test]
    fn each_platform_is_known_by_its_variable() {
        assert_eq!(detect(&[]), Host::Http);
        assert_eq!(detect(&[("VERCEL_IPC_PATH", "/ipc")]), Host::Vercel);
        assert_eq!(
            detect(&[("AWS_LAMBDA_RUNTIME_API", "host")]),
            Host::Lambda { streaming: false }
        );
        let streaming = [
            ("AWS_LAMBDA_RUNTIME_API", "host"),
            ("LAMBDA_INVOKE_MODE", "RESPONSE_STREAM"),
        ];
        assert_eq!(detect(&streaming), Host::Lambda { streaming: true });
    }
}

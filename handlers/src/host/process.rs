//! A process that serves until it ends.

use super::{Host, HostError};
use crate::{AppState, app};
use axum::Router;
#[cfg(feature = "otel")]
use restis::metrics::Families;
use restis::variables::{Variables, get};
use std::{io::Write as _, process::ExitCode};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    prelude::*,
};

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
        Host::Http => super::http::run(app).await,
        #[cfg(feature = "vercel")]
        Host::Vercel => super::vercel::run(app).await,
        #[cfg(not(feature = "vercel"))]
        Host::Vercel => Err(HostError::Unsupported("vercel")),
        #[cfg(feature = "lambda")]
        Host::Lambda { streaming } => super::lambda::run(app, streaming).await,
        #[cfg(not(feature = "lambda"))]
        Host::Lambda { .. } => Err(HostError::Unsupported("lambda")),
        Host::Worker => Err(HostError::Unsupported("worker")),
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

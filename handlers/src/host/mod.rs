//! The platforms: one binary serves on plain HTTP, Vercel and AWS Lambda; workers load a module.

#[cfg(not(target_family = "wasm"))]
mod http;
#[cfg(all(feature = "lambda", not(target_family = "wasm")))]
mod lambda;
#[cfg(all(feature = "lambda", not(target_family = "wasm")))]
mod lambda_event;
#[cfg(not(target_family = "wasm"))]
mod linger;
#[cfg(not(target_family = "wasm"))]
mod process;
mod stopping;
#[cfg(all(feature = "vercel", not(target_family = "wasm")))]
mod vercel;
#[cfg(all(feature = "worker", target_family = "wasm"))]
pub mod worker;

use crate::ConfigError;
use ::http::Extensions;
use restis::variables::of_process;
use std::{net::IpAddr, time::Duration};

pub(crate) use self::stopping::Stopping;
#[cfg(not(target_family = "wasm"))]
pub use self::{
    http::serve,
    process::{run, run_blocking, run_on},
};

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
    /// An isolate that is handed events, such as Cloudflare Workers; served on WebAssembly with the
    /// feature `worker`.
    Worker,
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
            Self::Http | Self::Worker => 240,
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

/// The address at the other end of a connection, where the host knows one.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    use axum::extract::ConnectInfo;
    let peer: Option<&ConnectInfo<std::net::SocketAddr>> = extensions.get();
    peer.map(|ConnectInfo(address)| address.ip())
}

/// No worker knows a connection.
#[cfg(target_family = "wasm")]
pub(crate) fn peer(_: &Extensions) -> Option<IpAddr> {
    None
}

/// Runs a future beside the others of its runtime.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

/// Runs a future as long as the event lasts that is being handled.
#[cfg(target_family = "wasm")]
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    #[cfg(feature = "worker")]
    worker::spawn(future);
    #[cfg(not(feature = "worker"))]
    drop(future);
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

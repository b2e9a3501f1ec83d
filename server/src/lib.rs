//! The Upstash Redis REST protocol as a server.
//!
//! Behind it is the embedded engine, one database a token, or any Redis:
//!
//! ```no_run
//! use restis_server::Server;
//!
//! let server = Server::builder().token("TOKEN").bind("127.0.0.1:0")?.spawn()?;
//! println!("export UPSTASH_REDIS_REST_URL={}", server.url());
//! server.stop();
//! # Ok::<(), restis_server::StartError>(())
//! ```

// The futures of a request are nested deeper than the compiler looks by default.
#![recursion_limit = "256"]

mod backend;
mod backlog;
mod config;
mod control;
mod database;
mod durability;
mod fault;
mod gate;
mod in_flight;
mod metrics;
mod monitor;
mod reply;
mod request;
mod resp;
mod rest;
mod server;
mod sse;
mod tenants;
mod texts;
mod tls;
mod tokens;

pub use config::Limits;
pub use control::TestControl;
pub use durability::{Repaired, SyncPolicy, repair};
pub use fault::FaultPlan;
pub use metrics::{MetricFamily, MetricKind, MetricValue, MetricsReader};
pub use monitor::{MonitorBatch, MonitorFilter, MonitorStream};
pub use rest::Cors;
pub use server::{Builder, Connector, Running, Server, SlowCommand, StartError, StopHandle};
pub use tenants::{Tenants, TenantsError, Token, parse_bytes};
pub use tls::TlsFiles;
pub use tokens::random_token;

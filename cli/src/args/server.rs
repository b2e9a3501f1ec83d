//! Options of the servers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use restis_engine::Eviction;
use restis_server::{FaultPlan, SyncPolicy};

use crate::logs::LogArgs;

/// Where the REST server listens unless told otherwise.
const REST_ADDR: &str = "127.0.0.1:8079";
/// Where `restis serve --console` shows its pages unless told otherwise.
const CONSOLE_ADDR: &str = "127.0.0.1:8070";

pub(super) const SERVE_EXAMPLES: &str = "\
Tokens:
  Every --token opens a database of its own (with --redis all of them open that Redis).
  The first --read-only-token belongs to the first --token, the second to the second.
  Without any token a random one is made and printed.

Tenants file:
  { \"TOKEN-A\": { \"name\": \"acme\", \"memory\": \"256mb\" },
    \"TOKEN-B\": { \"name\": \"acme\", \"read_only\": true },
    \"TOKEN-C\": { \"name\": \"other\", \"redis\": \"rediss://user:password@host:6379\" } }

Redis URLs:
  redis://[user[:password]@]host[:port][/db]    standalone
  rediss://…                                    with TLS
  unix:///path/to/redis.sock                    Unix socket
  redis-cluster://host:port,host:port           Redis Cluster (rediss-cluster:// with TLS)
  redis-sentinel://host:port,host:port/NAME     Sentinel, master NAME

Faults:
  latency=50ms or latency=20ms..80ms, error=2%, panic=1%, drop=1% (drop-before, drop-after), seed=7.
  With --fault (also --fault off) the header `restis-fault: error=100%` works per request.

Examples:
  restis serve --addr 0.0.0.0:8079 --token \"$TOKEN\" --threads 4
  restis serve --redis redis-cluster://10.0.0.1:6379,10.0.0.2:6379 --token secret
  restis serve --data ./store --memory 512mb --admin-addr 127.0.0.1:9090
  restis serve --tls-cert cert.pem --tls-key key.pem --addr 0.0.0.0:8443
  curl -H 'Authorization: Bearer secret' http://127.0.0.1:8079/set/greeting/hello";

/// An address as it was given; names are resolved when it is used.
fn address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':');
    let sound = parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if sound {
        Ok(text.to_owned())
    } else {
        Err("expected HOST:PORT, such as 127.0.0.1:8079".to_owned())
    }
}

/// Where the Redis protocol is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RespAddr {
    Off,
    At(String),
}

fn resp_address(text: &str) -> Result<RespAddr, String> {
    if text == "off" {
        return Ok(RespAddr::Off);
    }
    address(text)
        .map(RespAddr::At)
        .map_err(|_| "expected HOST:PORT, such as 127.0.0.1:6379, or off".to_owned())
}

/// Seconds above zero, an hour at most.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| *seconds > 0.0 && *seconds <= 3600.0)
        .ok_or_else(|| "expected seconds above 0 and up to 3600, such as 2.5".to_owned())
}

/// Seconds, an hour at most.
fn drain_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.0..=3600.0).contains(s));
    seconds.ok_or_else(|| "expected seconds from 0 to 3600, such as 10".to_owned())
}

/// Options of `restis dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where the functions listen; 127.0.0.1:3030 or the next port that is free by default
    #[arg(long, value_name = "HOST:PORT", env = "RESTIS_FUNCTIONS_ADDR", value_parser = address)]
    pub(crate) functions_addr: Option<String>,
    /// Keep neither secrets nor data: without this both are in .restis/ of this directory
    #[arg(long, env = "RESTIS_EPHEMERAL")]
    pub(crate) ephemeral: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

/// Options of `restis serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where the REST server listens
    #[arg(long, value_name = "HOST:PORT", default_value = REST_ADDR, env = "RESTIS_ADDR", value_parser = address)]
    pub(crate) addr: String,
    /// A token that opens a database of its own; may be repeated
    #[arg(
        long,
        value_name = "TOKEN",
        env = "RESTIS_TOKEN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) token: Vec<String>,
    /// A token that may only read; the first belongs to the first --token, and so on
    #[arg(
        long,
        value_name = "TOKEN",
        env = "RESTIS_READ_ONLY_TOKEN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) read_only_token: Vec<String>,
    /// A JSON file of tokens and databases
    #[arg(long, value_name = "FILE", env = "RESTIS_TENANTS_FILE")]
    pub(crate) tenants: Option<PathBuf>,
    /// The same JSON in the environment
    #[arg(
        long,
        value_name = "JSON",
        env = "RESTIS_TENANTS",
        hide = true,
        hide_env_values = true
    )]
    pub(crate) tenants_json: Option<String>,
    /// Keep the data in this Redis instead of in memory
    #[arg(long, value_name = "URL", env = "RESTIS_REDIS", hide_env_values = true)]
    pub(crate) redis: Option<String>,
    /// How many threads serve
    #[arg(long, value_name = "N", default_value_t = 1, env = "RESTIS_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// Most memory of a database, such as 256mb
    #[arg(long, value_name = "SIZE", env = "RESTIS_MEMORY", value_parser = restis_server::parse_bytes)]
    pub(crate) memory: Option<u64>,
    /// What happens to writes at --memory: noeviction (refused), allkeys-random, volatile-random, or
    /// optimistic-volatile (keys with an expiry first)
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "noeviction",
        env = "RESTIS_EVICTION"
    )]
    pub(crate) eviction: Eviction,
    /// Keep in-memory databases in this directory across restarts: a snapshot and a log of changes
    #[arg(long, value_name = "DIR", env = "RESTIS_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// When a write is on disk in --data: always (before its answer), everysec, or no (when the
    /// system finds time)
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "everysec",
        env = "RESTIS_SYNC"
    )]
    pub(crate) sync: SyncPolicy,
    /// An origin whose pages may call the server, or *; may be repeated
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "RESTIS_CORS",
        value_delimiter = ','
    )]
    pub(crate) cors: Vec<String>,
    /// Serve HTTPS with this certificate chain (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "RESTIS_TLS_CERT"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "RESTIS_TLS_KEY"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Serve /live, /ready and /metrics here
    #[arg(long, value_name = "HOST:PORT", env = "RESTIS_ADMIN_ADDR")]
    pub(crate) admin_addr: Option<SocketAddr>,
    /// Seconds to go on serving after SIGTERM or Ctrl-C, while /ready answers 503, so that load balancers
    /// send clients elsewhere first
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, env = "RESTIS_DRAIN", value_parser = drain_seconds)]
    pub(crate) drain: f64,
    /// Speak the Redis protocol here too, with the same tokens (`off`: nowhere). `restis dev` takes
    /// 127.0.0.1:6379, or the next port that is free
    #[arg(long, value_name = "HOST:PORT", env = "RESTIS_RESP", value_parser = resp_address)]
    pub(crate) resp: Option<RespAddr>,
    /// Most seconds that a connection of the Redis protocol may ask nothing; without end by default
    #[arg(long, value_name = "SECONDS", env = "RESTIS_RESP_TIMEOUT", value_parser = seconds)]
    pub(crate) resp_timeout: Option<f64>,
    /// Let connections of the Redis protocol open the first database without AUTH, and offer DEBUG:
    /// for Redis' own test suite, and only at loopback addresses
    #[arg(long, hide = true, requires = "resp")]
    pub(crate) resp_anonymous: bool,
    /// Inject faults, such as latency=50ms,error=2%,drop=1%,seed=7
    #[arg(long, value_name = "FAULTS", env = "RESTIS_FAULT")]
    pub(crate) fault: Option<FaultPlan>,
    /// Largest request body
    #[arg(long, value_name = "SIZE", env = "RESTIS_MAX_REQUEST", value_parser = restis_server::parse_bytes)]
    pub(crate) max_request: Option<u64>,
    /// Largest response body
    #[arg(long, value_name = "SIZE", env = "RESTIS_MAX_RESPONSE", value_parser = restis_server::parse_bytes)]
    pub(crate) max_response: Option<u64>,
    /// Most commands in one pipeline or transaction
    #[arg(long, value_name = "N", env = "RESTIS_MAX_PIPELINE")]
    pub(crate) max_pipeline: Option<usize>,
    /// Most seconds that the commands of one request may run on an in-memory database, 5 by default
    #[arg(long, value_name = "SECONDS", env = "RESTIS_MAX_TIME", value_parser = seconds)]
    pub(crate) max_time: Option<f64>,
    /// Serve the console here: pages that show the store in a browser. `restis dev` has it at the
    /// functions' address
    #[arg(long, value_name = "HOST:PORT", env = "RESTIS_CONSOLE", num_args = 0..=1, default_missing_value = CONSOLE_ADDR, value_parser = address)]
    pub(crate) console: Option<String>,
    /// A name, beside addresses and localhost, by which browsers may call the console; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "RESTIS_CONSOLE_HOST",
        value_delimiter = ','
    )]
    pub(crate) console_host: Vec<String>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Print nothing at start
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

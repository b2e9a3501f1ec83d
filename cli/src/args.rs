//! The command line.

use std::any::TypeId;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use restis::variables::EnvFiles;
use restis_engine::Eviction;
use restis_server::{FaultPlan, SyncPolicy};

use crate::repair::RepairArgs;
use crate::{cache, check, config, dev, inspect, repair, run, serve, token, transfer};

/// Where the REST server listens unless told otherwise.
pub(crate) const REST_ADDR: &str = "127.0.0.1:8079";
/// Where `restis serve --console` shows its pages unless told otherwise.
const CONSOLE_ADDR: &str = "127.0.0.1:8070";

const ABOUT: &str = "Redis over REST: a local Upstash, a gateway for any Redis, and functions";

const EXAMPLES: &str = "\
Examples:
  restis                                        a store and the functions, for development
  restis serve --token secret                   the REST server alone, one database
  restis serve --token a --token b              two databases, one token each
  restis serve --redis rediss://user:pw@host    REST in front of your own Redis
  restis serve --resp 127.0.0.1:6379            the Redis protocol on the same store
  restis serve --console                        pages that show the store in a browser
  restis serve --data ./store                   a store that survives restarts
  restis serve --fault latency=50ms,error=2%    a store that misbehaves, to test clients
  restis repair ./store                         damaged files of a store, as far as they go
  restis token new --name web --scope session   a service token for the functions
  restis export backup.jsonl                    all keys as a file; restis import reads it
  restis check                                  does the database do what the functions need
  restis stat                                   what a database does, line by line
  restis keys --by-prefix                       what fills its memory
  restis config                                 what is configured, from where, and what is wrong

Point any Upstash client at it:
  export UPSTASH_REDIS_REST_URL=http://127.0.0.1:8079 UPSTASH_REDIS_REST_TOKEN=secret

Exit codes:
  0  stopped by Ctrl-C or SIGTERM     2  wrong usage
  1  could not start or save          3  the address is taken by another program";

const SERVE_EXAMPLES: &str = "\
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

const RUN_EXAMPLES: &str = "\
The command gets UPSTASH_REDIS_REST_URL and _TOKEN, KV_REST_API_URL and _TOKEN, REDIS_URL and KV_URL.

Between tests, with the token:
  POST $UPSTASH_REDIS_REST_URL/__restis/reset                          back to the seed
  POST $UPSTASH_REDIS_REST_URL/__restis/clock  {\"advance_ms\":60000}    a minute later

Examples:
  restis run -- npm test
  restis run --seed fixtures.redis -- cargo test

Exit codes:
  that of the command; 128 and the number of the signal that ended it
  1  the store could not start     2  wrong usage     126  it cannot be run     127  it is not found";

const TOKEN_EXAMPLES: &str = "\
Examples:
  restis token new --name web --scope ratelimit,session --org acme
  restis token new --name ops --scope '*'

With RESTIS_SERVICE_TOKENS set, the printed variable keeps the tokens it has. To replace a token
without downtime: add the new one and deploy, give it to the caller, then take the old one out.";

const CONFIG_EXAMPLES: &str = "\
Values come, highest first, from the environment of the process, .env.ENV.local, .env.local,
.env.ENV and .env of this directory; ENV is development, staging or production, by the first of
APP_ENV, VERCEL_ENV and NODE_ENV that is set. Secrets are not shown.

Examples:
  restis config                what is set, and every problem
  restis config --all --json   every variable, for programs
  restis config init           write .env.example, which names them all
  APP_ENV=production restis config

Exit codes:
  0  nothing is wrong     1  a program would not start with it     2  wrong usage";

#[derive(Debug, Parser)]
#[command(name = "restis", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: DevArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the REST server and the functions for development (the default)
    Dev(DevArgs),
    /// Run a command with a store of its own, and end with it
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Run the REST server alone
    #[command(after_long_help = SERVE_EXAMPLES, after_help = "More, with examples: restis serve --help")]
    Serve(ServeArgs),
    /// Check that a database does what the functions need; tell what to do if not
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Write all keys of a database to a file
    #[command(after_help = transfer::EXPORT_EXAMPLES)]
    Export(transfer::ExportArgs),
    /// Write the keys of an export into a database
    #[command(after_help = transfer::IMPORT_EXAMPLES)]
    Import(transfer::ImportArgs),
    /// Show what a database does: commands a second, hits, memory, slow commands
    #[command(after_help = inspect::STAT_EXAMPLES)]
    Stat(inspect::StatArgs),
    /// Show which keys and prefixes fill the memory
    #[command(after_help = inspect::KEYS_EXAMPLES)]
    Keys(inspect::KeysArgs),
    /// Show what is configured, where it comes from and what is wrong
    #[command(after_help = CONFIG_EXAMPLES, args_conflicts_with_subcommands = true)]
    Config(ConfigArgs),
    /// Count, fill and clear what is cached
    #[command(after_help = cache::EXAMPLES)]
    Cache {
        #[command(subcommand)]
        command: cache::CacheCommand,
    },
    /// Make the damaged files of a store loadable again; says what is lost
    Repair(RepairArgs),
    /// Make service tokens for the functions
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; print it once, with the variable that stores its digest
    #[command(after_help = TOKEN_EXAMPLES)]
    New(TokenArgs),
}

/// Options of `restis config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,
    /// List the variables that are not set too, with their defaults
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a file that names every variable, as comments
    Init(ConfigInitArgs),
    /// Print the table of all variables
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Options of `restis config init`.
#[derive(Debug, Args)]
pub(crate) struct ConfigInitArgs {
    /// The file
    #[arg(default_value = ".env.example")]
    pub(crate) file: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

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

/// Options of `restis run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Commands that the store begins with, one a line as redis-cli takes them
    #[arg(long, value_name = "FILE")]
    pub(crate) seed: Option<PathBuf>,
    /// What to log to standard error: a level, `access`, or a tracing filter
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "warn",
        env = "RESTIS_LOG"
    )]
    pub(crate) log: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// Options of `restis token new`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Who will use it, for logs
    #[arg(long)]
    pub(crate) name: String,
    /// What it allows: ratelimit, session, events, metrics, or one scope such as events:read; by commas
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) scope: Vec<String>,
    /// An organisation that it is bound to; may be repeated. All of them when absent
    #[arg(long, value_delimiter = ',')]
    pub(crate) org: Vec<String>,
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
    /// Serve /health and /metrics here
    #[arg(long, value_name = "HOST:PORT", env = "RESTIS_ADMIN_ADDR")]
    pub(crate) admin_addr: Option<SocketAddr>,
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
    /// What to log to standard error: a level, `access`, or a tracing filter
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "warn",
        env = "RESTIS_LOG"
    )]
    pub(crate) log: String,
    /// Log as JSON lines
    #[arg(long, env = "RESTIS_LOG_JSON")]
    pub(crate) log_json: bool,
    /// Print nothing at start
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Why the program ends with a failure: a sentence and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: 1,
        }
    }

    pub(crate) fn with_code(text: impl std::fmt::Display, code: u8) -> Self {
        Self {
            text: text.to_string(),
            code,
        }
    }

    /// What has been told already.
    pub(crate) fn told(code: u8) -> Self {
        Self {
            text: String::new(),
            code,
        }
    }

    pub(crate) fn usage(text: impl std::fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: 2,
        }
    }
}

impl Failure {
    /// An address that cannot be listened on; names the option that changes it.
    pub(crate) fn bind(addr: &str, option: &str, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            return Self::taken(addr, option);
        }
        Self::new(format!("cannot listen on {addr}: {error}"))
    }

    /// The same of the REST server.
    pub(crate) fn start(addr: &str, option: &str, error: restis_server::StartError) -> Self {
        if error.taken_address() == Some(addr) {
            return Self::taken(addr, option);
        }
        error.into()
    }

    fn taken(addr: &str, option: &str) -> Self {
        Self {
            text: format!("{addr} is taken by another program; choose another with {option}"),
            code: 3,
        }
    }
}

impl From<restis_server::StartError> for Failure {
    fn from(error: restis_server::StartError) -> Self {
        Self {
            text: error.to_string(),
            code: if error.is_address_in_use() { 3 } else { 1 },
        }
    }
}

/// The command line; an empty variable counts as unset, and `.env` files yield defaults.
fn command() -> clap::Command {
    fn of_environment(arg: Arg) -> Arg {
        let Some(name) = arg.get_env() else {
            return arg;
        };
        if let Some(value) = std::env::var_os(name) {
            return match value.is_empty() {
                true => arg.env(Resettable::Reset),
                false => arg,
            };
        }
        let found = name
            .to_str()
            .and_then(|name| EnvFiles::of_process().get(name));
        match found.map(|found| found.value.trim()) {
            // It may be a secret.
            Some(value) if !value.is_empty() => arg.default_value(value).hide_default_value(true),
            _ => arg,
        }
    }
    /// `dev` speaks plain HTTP: what it refuses is in no help of it.
    fn plain(command: clap::Command) -> clap::Command {
        let hidden = |arg: Arg| arg.hide(true);
        command
            .mut_arg("tls_cert", hidden)
            .mut_arg("tls_key", hidden)
    }
    let command = plain(Cli::command()).mut_subcommand("dev", plain);
    // Without a name the command is `dev`; the variables of `dev` are not those of the others.
    let named = named(&command).is_some();
    let own = |arg: Arg| match named {
        true => arg.env(Resettable::Reset),
        false => of_environment(arg),
    };
    command
        .mut_args(own)
        .mut_subcommands(|command| command.mut_args(of_environment))
}

/// The command that is named.
fn named(command: &clap::Command) -> Option<&clap::Command> {
    let name = std::env::args_os().nth(1)?;
    command.get_subcommands().find(|one| name == one.get_name())
}

/// A problem of the first variable that is no UTF-8, which the parser would report without its name.
fn damaged(command: &clap::Command) -> Option<String> {
    let is_path = |arg: &Arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let texts = command.get_arguments().filter(|arg| !is_path(arg));
    let name = texts.filter_map(Arg::get_env).find(|name| {
        let value = std::env::var_os(name);
        value.is_some_and(|value| value.to_str().is_none())
    });
    name.map(|name| format!("{}: is not UTF-8", name.display()))
}

/// The first problem of the variables of `restis serve`.
pub(crate) fn serve_problem() -> Option<String> {
    let mut command = command();
    if let Some(problem) = command.find_subcommand("serve").and_then(damaged) {
        return Some(problem);
    }
    let parsed = command.try_get_matches_from_mut(["restis", "serve"]);
    let text = parsed.err()?.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    Some(format!("restis serve: {first}"))
}

/// Parses the command line and runs what it says.
pub(crate) fn run() -> ExitCode {
    let mut command = command();
    if let Some(problem) = damaged(named(&command).unwrap_or(&command)) {
        let _ = writeln!(std::io::stderr(), "restis: {problem}");
        return ExitCode::from(2);
    }
    let cli = Cli::from_arg_matches(&command.get_matches_mut())
        .unwrap_or_else(|error| error.format(&mut command).exit());
    let outcome = match cli.command {
        None => dev::run(&cli.dev),
        Some(Command::Dev(args)) => dev::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Check(args)) => match check::run(&args) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Some(Command::Run(args)) => match run::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(failure) => Err(failure),
        },
        Some(Command::Export(args)) => transfer::export(&args),
        Some(Command::Import(args)) => transfer::import(&args),
        Some(Command::Stat(args)) => inspect::stat(&args),
        Some(Command::Keys(args)) => inspect::keys(&args),
        Some(Command::Config(args)) => match &args.command {
            None => config::run(&args),
            Some(ConfigCommand::Init(args)) => config::init(args),
            Some(ConfigCommand::List { json }) => config::list(*json),
        },
        Some(Command::Cache { command }) => cache::run(&command),
        Some(Command::Repair(args)) => repair::run(&args),
        Some(Command::Token {
            command: TokenCommand::New(args),
        }) => token::new(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                // Nothing is left to do if standard error is closed.
                let _ = writeln!(std::io::stderr(), "restis: {}", failure.text);
            }
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}

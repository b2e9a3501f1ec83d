//! `restis serve`: the REST server alone.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use restis_server::{Cors, Limits, Running, Server, Tenants, TestControl, TlsFiles};

use crate::args::server::{RespAddr, ServeArgs};
use crate::banner::{self, Banner, Secret};
use crate::console::{self, Pages};
use crate::failure::Failure;
use crate::files;
use crate::logs;
use crate::signals::Signals;
use crate::telemetry::{self, Exporter};

pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    logs::start(&args.log)?;
    let signals = Signals::install()?;
    let telemetry = telemetry::from_env()?;
    let started = start(args, &Defaults::default())?;
    let exporter = telemetry
        .map(|telemetry| Exporter::start(telemetry, &started.running))
        .transpose()?;
    let pages = match &args.console {
        Some(addr) => Some(console::start(addr, console::of(args, &started)?)?),
        None => None,
    };
    if !args.quiet {
        banner::print(&Banner {
            running: &started.running,
            token: started.secret(),
            functions: None,
            console: pages.as_ref().map(Pages::link),
            secrets: &[],
            store: &started.store,
        });
    }
    let mut stopped = Ok(());
    let drain = Duration::from_secs_f64(args.drain);
    signals.serve(&started.running, drain, || {
        if let Some(exporter) = exporter {
            exporter.stop();
        }
        stopped = pages.map_or(Ok(()), Pages::stop);
    })?;
    stopped
}

/// A server that serves, and what to tell about it.
pub(crate) struct Started {
    pub(crate) running: Running,
    /// The first token, unless it came from a file.
    pub(crate) token: Option<String>,
    /// How the environment yields that token, if it does.
    variable: Option<&'static str>,
    /// Where the data lives, in words.
    pub(crate) store: String,
    /// What the console shows.
    pub(crate) databases: Vec<restis_console::Database>,
    /// What tests may do with it.
    pub(crate) control: Option<TestControl>,
}

impl Started {
    /// The first token as it may be printed.
    pub(crate) fn secret(&self) -> Option<Secret<'_>> {
        let token = self.token.as_deref()?;
        Some(self.variable.map_or(Secret::Text(token), Secret::Variable))
    }
}

/// Tokens from the environment stay there: what is printed may end in a log.
fn variable(args: &ServeArgs) -> Option<&'static str> {
    let flag = |arg: String| arg == "--token" || arg.starts_with("--token=");
    let set = std::env::var_os("RESTIS_TOKEN").is_some_and(|value| !value.is_empty());
    if !set || std::env::args().any(flag) {
        return None;
    }
    Some(match args.token.len() {
        1 => "$RESTIS_TOKEN",
        _ => "${RESTIS_TOKEN%%,*}",
    })
}

/// What holds unless the options say otherwise.
#[derive(Default)]
pub(crate) struct Defaults<'d> {
    /// Where the Redis protocol is spoken.
    pub(crate) redis: &'d [SocketAddr],
    /// The token of the first database; random without it.
    pub(crate) token: Option<&'d str>,
    /// Where data is kept.
    pub(crate) data: Option<&'d Path>,
    /// Lets tests reset the store and move its clock.
    pub(crate) control: Option<TestControl>,
}

/// Starts the server that the options describe.
pub(crate) fn start(args: &ServeArgs, defaults: &Defaults<'_>) -> Result<Started, Failure> {
    files::raise_limit();
    let (tenants, token) = tenants(args, defaults.token)?;
    let data = args.data.as_deref().or(defaults.data);
    let databases = console::databases(&tenants);
    let mut builder = Server::builder()
        .tenants(tenants)
        .threads(usize::from(args.threads))
        .limits(limits(args));
    if !args.cors.is_empty() {
        let cors =
            Cors::new(&args.cors).map_err(|error| Failure::usage(format!("--cors: {error}")))?;
        builder = builder.cors(cors);
    }
    if let Some(control) = defaults.control.clone() {
        builder = builder.test_control(control);
    }
    if let Some(plan) = &args.fault {
        builder = builder.faults(plan.clone());
    }
    if let (Some(certificates), Some(key)) = (&args.tls_cert, &args.tls_key) {
        builder = builder.tls(TlsFiles {
            certificates: certificates.clone(),
            key: key.clone(),
        });
    }
    builder = match &args.resp {
        Some(RespAddr::Off) => builder,
        Some(RespAddr::At(addr)) => builder.redis_protocol(resolved(addr)?),
        None => builder.redis_protocol(defaults.redis.iter().copied()),
    };
    if args.resp_anonymous {
        builder = builder.anonymous_redis_protocol();
    }
    if let Some(addr) = args.admin_addr {
        builder = builder.admin(addr);
    }
    builder = builder.eviction(args.eviction);
    if let Some(bytes) = args.memory {
        builder = builder.memory(bytes);
    }
    if let Some(dir) = data {
        builder = builder.data(dir.to_owned(), args.sync);
    }
    Ok(Started {
        running: builder
            .bind(&args.addr)
            .map_err(|error| Failure::start(&args.addr, "--addr", error))?
            .spawn()?,
        token,
        variable: variable(args),
        store: store(args, data),
        databases,
        control: defaults.control.clone(),
    })
}

/// On this machine: a port, one of the next, or any.
pub(crate) const fn local(first: u16) -> [SocketAddr; 12] {
    let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
    let mut addresses = [any; 12];
    let mut at = 0;
    while at + 1 < addresses.len() {
        let port = first + at as u16;
        addresses[at] = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        at += 1;
    }
    addresses
}

fn resolved(addr: &str) -> Result<Vec<SocketAddr>, Failure> {
    let addresses = addr.to_socket_addrs();
    let addresses = addresses.map_err(|error| Failure::new(format!("--resp {addr}: {error}")))?;
    Ok(addresses.collect())
}

fn tenants(args: &ServeArgs, kept: Option<&str>) -> Result<(Tenants, Option<String>), Failure> {
    let mut tenants = Tenants::new();
    let mut tokens = args.token.clone();
    let from_file = args.tenants.is_some() || args.tenants_json.is_some();
    if tokens.is_empty() && !from_file {
        tokens.push(match kept {
            Some(token) => token.to_owned(),
            None => restis_server::random_token()
                .map_err(|error| Failure::new(format!("no random token: {error}")))?,
        });
    }
    if tokens
        .iter()
        .chain(&args.read_only_token)
        .any(|token| token.trim().is_empty())
    {
        return Err(Failure::usage("a token may not be empty"));
    }
    let mut databases = Vec::new();
    for token in &tokens {
        databases.push(tenants.add(token, args.redis.as_deref()));
    }
    for (index, token) in args.read_only_token.iter().enumerate() {
        let database = databases.get(index).copied().unwrap_or(usize::MAX);
        tenants
            .add_read_only(token, database)
            .map_err(|error| Failure::usage(format!("--read-only-token: {error}")))?;
    }
    if let Some(file) = &args.tenants {
        let json = std::fs::read(file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        tenants
            .add_json(&json)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    }
    if let Some(json) = &args.tenants_json {
        tenants
            .add_json(json.as_bytes())
            .map_err(|error| Failure::new(format!("RESTIS_TENANTS: {error}")))?;
    }
    if let (true, Some(name)) = (args.redis.is_some(), tenants.in_memory().next()) {
        return Err(Failure::usage(format!(
            "the database `{name}` has no `redis`: beside --redis, every database of --tenants or RESTIS_TENANTS names its own"
        )));
    }
    let shown = tokens.into_iter().next();
    Ok((tenants, shown))
}

fn limits(args: &ServeArgs) -> Limits {
    let mut limits = Limits::default();
    let bytes = |given: Option<u64>, default: usize| {
        given.map_or(default, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        })
    };
    limits.request_bytes = bytes(args.max_request, limits.request_bytes);
    limits.response_bytes = bytes(args.max_response, limits.response_bytes);
    limits.pipeline_commands = args.max_pipeline.unwrap_or(limits.pipeline_commands);
    limits.request_time = args
        .max_time
        .map_or(limits.request_time, Duration::from_secs_f64);
    limits.redis_idle_timeout = args.resp_timeout.map(Duration::from_secs_f64);
    limits
}

fn store(args: &ServeArgs, data: Option<&Path>) -> String {
    match (&args.redis, data) {
        (Some(_), _) => "over Redis".to_owned(),
        (None, Some(dir)) => format!("kept in {}", dir.display()),
        (None, None) => "in memory".to_owned(),
    }
}

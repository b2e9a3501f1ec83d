//! What a server is made of.

use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use restis_engine::{Caller, Engine, Eviction, Options};
use tokio::sync::watch;

use super::{Peers, Server, TlsAcceptorDebug};
use crate::backend::Local;
use crate::backend::redis::{RULES, RedisBackend};
use crate::backlog::Pool;
use crate::config::Limits;
use crate::control::TestControl;
use crate::database::{Access, Backend, Database};
use crate::durability::{Stores, SyncPolicy};
use crate::fault::{FaultPlan, Faults};
use crate::in_flight::InFlight;
use crate::metrics::{Gauge, Metrics, Traffic};
use crate::rest::{Cors, Ids, Shared};
use crate::tenants::{DatabaseSpec, Tenants};
use crate::tls::{self, TlsFiles};
use crate::tokens::TokenTable;

/// Why a server cannot start; one sentence for a person.
#[derive(Debug)]
pub struct StartError {
    text: String,
    taken: Option<String>,
}

impl StartError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            taken: None,
        }
    }

    /// Whether another program already listens there.
    pub fn is_address_in_use(&self) -> bool {
        self.taken.is_some()
    }

    /// The address at which another program already listens, as it was given.
    pub fn taken_address(&self) -> Option<&str> {
        self.taken.as_deref()
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for StartError {}

/// Describes a server; see [`Server::builder`].
#[derive(Debug, Default)]
pub struct Builder {
    tenants: Tenants,
    threads: usize,
    limits: Limits,
    cors: Option<Cors>,
    faults: Option<FaultPlan>,
    control: Option<TestControl>,
    tls: Option<TlsFiles>,
    admin: Option<SocketAddr>,
    resp: Vec<SocketAddr>,
    resp_anonymous: bool,
    memory: Option<u64>,
    eviction: Eviction,
    data: Option<(PathBuf, SyncPolicy)>,
    engine: Option<Engine>,
}

impl Builder {
    /// Adds an embedded database that opens with `token`.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.tenants.add(token, None);
        self
    }

    /// Adds the database of a Redis server that opens with `token`.
    #[must_use]
    pub fn redis(mut self, token: &str, url: &str) -> Self {
        self.tenants.add(token, Some(url));
        self
    }

    /// Replaces the databases and tokens.
    #[must_use]
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        self.tenants = tenants;
        self
    }

    /// Uses this engine for the first database.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// How many threads serve; 0 means one.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets pages of these origins call the server.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Injects faults; also makes the `restis-fault` request header work.
    #[must_use]
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.faults = Some(plan);
        self
    }

    /// Lets tests reset the databases and move their clock; they begin with the seed.
    #[must_use]
    pub fn test_control(mut self, control: TestControl) -> Self {
        self.control = Some(control);
        self
    }

    /// Speaks TLS.
    #[must_use]
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Serves `/health` and `/metrics` at this address.
    #[must_use]
    pub fn admin(mut self, addr: SocketAddr) -> Self {
        self.admin = Some(addr);
        self
    }

    /// Also speaks the Redis protocol, at the first of these addresses that is free.
    ///
    /// ```
    /// use restis_server::Server;
    ///
    /// let server = Server::builder()
    ///     .token("TOKEN")
    ///     .redis_protocol(["127.0.0.1:0".parse()?])
    ///     .bind("127.0.0.1:0")?;
    /// assert!(server.redis_addr().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn redis_protocol(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.resp = addresses.into_iter().collect();
        self
    }

    /// Opens the first database to every connection of the Redis protocol without AUTH, and offers
    /// it `DEBUG`: for Redis' own test suite, which knows no password.
    ///
    /// The server binds only if all its addresses are of the loopback interface.
    #[doc(hidden)]
    #[must_use]
    pub fn anonymous_redis_protocol(mut self) -> Self {
        self.resp_anonymous = true;
        self
    }

    /// Limits the memory of every embedded database that has no limit of its own.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Chooses what happens when an embedded database reaches its limit of memory.
    #[must_use]
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// Keeps embedded databases in this directory: a snapshot, and a log of what was changed since.
    #[must_use]
    pub fn data(mut self, dir: PathBuf, sync: SyncPolicy) -> Self {
        self.data = Some((dir, sync));
        self
    }

    /// Takes the address and prepares the databases.
    ///
    /// # Errors
    /// If the address is taken or not ours, or a setting cannot be used.
    pub fn bind(self, addr: impl ToSocketAddrs + fmt::Display) -> Result<Server, StartError> {
        if self.tenants.is_empty() {
            return Err(StartError::new("a server needs at least one token"));
        }
        let tls = self.tls.as_ref().map(tls::acceptor).transpose();
        let tls = tls.map_err(|error| StartError::new(format!("TLS: {error}")))?;
        let specs = &self.tenants.databases;
        let mut databases = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let given = self.engine.as_ref().filter(|_| index == 0);
            databases.push(Arc::new(database(
                spec,
                given,
                (self.memory, self.eviction, self.control.as_ref()),
                self.limits.request_time,
                self.resp_anonymous && index == 0,
            )?));
        }
        check_apart(&databases)?;
        if let Some(control) = self.control.as_ref().filter(|control| control.has_seed()) {
            for database in &databases {
                let access = Access {
                    database: Arc::clone(database),
                    caller: Caller::default(),
                };
                let outcome = control.reset(&access);
                outcome.map_err(|error| StartError::new(format!("the seed: {error}")))?;
            }
        }
        let mut tokens = TokenTable::new();
        for spec in &self.tenants.tokens {
            let caller = if spec.read_only {
                Caller::read_only()
            } else {
                Caller::default()
            };
            let database = Arc::clone(&databases[spec.database]);
            if !tokens.insert(&spec.token, Access { database, caller }) {
                let name = &databases[spec.database].name;
                return Err(StartError::new(format!(
                    "a token of `{name}` is given twice; every token must be different"
                )));
            }
        }
        let mut by_id = HashMap::new();
        for database in &databases {
            if let Backend::Engine(local) = &database.backend
                && let Some(other) = by_id.insert(local.engine().id(), Arc::clone(database))
            {
                let (name, other) = (&database.name, &other.name);
                return Err(StartError::new(format!(
                    "`{name}` and `{other}` have one name for tokens of users; engines that one server serves need different names"
                )));
            }
        }
        let open = |(dir, sync): (PathBuf, SyncPolicy)| Stores::open(&dir, sync, &databases);
        let stores = self.data.map(open).transpose().map_err(StartError::new)?;
        let listener = listen(&addr)?;
        let admin = self.admin.map(|addr| listen(&addr)).transpose()?;
        let resp = listen_any(&self.resp)?;
        let local = |listener: &TcpListener| {
            listener
                .local_addr()
                .map_err(|error| StartError::new(format!("no local address: {error}")))
        };
        let anonymous = self.resp_anonymous.then(|| Access {
            database: Arc::clone(&databases[0]),
            caller: Caller::default(),
        });
        if anonymous.is_some() {
            for listener in [&listener].into_iter().chain(&resp) {
                check_loopback(local(listener)?)?;
            }
        }
        let ids = Ids::new().map_err(|error| StartError::new(format!("no randomness: {error}")))?;
        let (stop, stopped) = watch::channel(false);
        Ok(Server {
            addr: local(&listener)?,
            admin_addr: admin.as_ref().map(local).transpose()?,
            redis_addr: resp.as_ref().map(local).transpose()?,
            resp,
            listener,
            admin,
            threads: self.threads.clamp(1, 1024),
            tls: tls.map(TlsAcceptorDebug),
            shared: Arc::new(Shared {
                in_flight: InFlight::new(&self.limits, databases.len()),
                databases,
                tokens,
                anonymous,
                by_id,
                peers: Peers::new(&self.limits),
                backlog: Pool::new(&self.limits),
                limits: self.limits,
                cors: self.cors,
                faults: Faults::new(self.faults),
                control: self.control,
                metrics: Metrics::default(),
                clients: Arc::default(),
                ids,
                draining: AtomicBool::new(false),
                stop: stopped,
            }),
            stop,
            stores,
        })
    }
}

fn database(
    spec: &DatabaseSpec,
    engine: Option<&Engine>,
    (memory, eviction, control): (Option<u64>, Eviction, Option<&TestControl>),
    request_time: Duration,
    debug_commands: bool,
) -> Result<Database, StartError> {
    let backend = match (&spec.redis, engine) {
        (Some(url), _) => {
            Backend::Redis(Box::new(RedisBackend::new(url).map_err(|error| {
                StartError::new(format!("the Redis of `{}`: {error}", spec.name))
            })?))
        }
        (None, Some(engine)) => Backend::Engine(Local::new(engine.clone())),
        (None, None) => {
            let mut options = Options::default()
                .name(&spec.name)
                .script_time_limit(request_time)
                .debug_commands(debug_commands)
                .eviction(eviction);
            if let Some(control) = control {
                options = options.clock(control.clock());
            }
            if let Some(bytes) = spec.memory.or(memory) {
                options = options.memory_limit(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            Backend::Engine(Local::new(Engine::new(options)))
        }
    };
    Ok(Database {
        name: spec.name.clone(),
        in_flight: AtomicUsize::new(0),
        streams: Gauge::default(),
        traffic: Traffic::default(),
        backend,
        pause: watch::Sender::new(None),
    })
}

/// Refuses databases of one Redis that could reach each other.
fn check_apart(databases: &[Arc<Database>]) -> Result<(), StartError> {
    let mut known: HashMap<&str, Vec<&Database>> = HashMap::new();
    for database in databases {
        let Backend::Redis(redis) = &database.backend else {
            continue;
        };
        for place in redis.places() {
            let others = known.entry(place).or_default();
            if let Some(other) = others.iter().find(|other| other.is_open_to(database)) {
                let (one, other) = (&other.name, &database.name);
                return Err(StartError::new(format!(
                    "`{one}` and `{other}` are on one Redis, where a database number keeps nobody apart: give each a user of that Redis with keys and channels of its own (ACL SETUSER {other} on >PASSWORD ~{other}:* &{other}:* {RULES}, then redis://{other}:PASSWORD@host), or one name if they may share"
                )));
            }
            others.push(database);
        }
    }
    let all = || {
        databases
            .iter()
            .filter_map(|database| match &database.backend {
                Backend::Redis(redis) => Some(&**redis),
                Backend::Engine(_) => None,
            })
    };
    all().for_each(|redis| redis.set_others(all()));
    Ok(())
}

/// Refuses an address that other machines reach.
fn check_loopback(addr: SocketAddr) -> Result<(), StartError> {
    if addr.ip().is_loopback() {
        return Ok(());
    }
    Err(StartError::new(format!(
        "a database that is open without a token may not be served at {addr}; use 127.0.0.1"
    )))
}

/// Listens at the first address that is free; `None`: none was asked for.
fn listen_any(addresses: &[SocketAddr]) -> Result<Option<TcpListener>, StartError> {
    let mut outcome = Ok(None);
    for addr in addresses {
        match listen(addr) {
            Err(error) if error.taken.is_some() => outcome = Err(error),
            other => return other.map(Some),
        }
    }
    outcome
}

fn listen(addr: &(impl ToSocketAddrs + fmt::Display)) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => StartError {
            text: format!("{addr} is already in use by another program; choose another address"),
            taken: Some(addr.to_string()),
        },
        std::io::ErrorKind::PermissionDenied => StartError::new(format!(
            "{addr} may not be used by this user; ports below 1024 need privileges"
        )),
        _ => StartError::new(format!("cannot listen on {addr}: {error}")),
    })
}

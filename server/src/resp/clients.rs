//! The connections that speak the Redis protocol, as CLIENT LIST shows and CLIENT KILL ends them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::encode::Version;
use super::waiting::End;

/// What CLIENT PAUSE stops, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(super) until: Instant,
    pub(super) only_writes: bool,
}

/// All connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    last_id: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Client>>>,
}

/// One connection, as others see it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) address: SocketAddr,
    pub(super) local: SocketAddr,
    connected: Instant,
    state: Mutex<ClientState>,
    killed: watch::Sender<bool>,
    unblocked: watch::Sender<End>,
}

/// What changes about a connection.
#[derive(Clone, Debug)]
pub(super) struct ClientState {
    /// The database that it opened.
    pub(super) database: Option<String>,
    pub(super) user: String,
    pub(super) name: Vec<u8>,
    pub(super) library: Vec<u8>,
    pub(super) library_version: Vec<u8>,
    pub(super) version: Version,
    pub(super) channels: usize,
    pub(super) patterns: usize,
    /// Commands queued by MULTI.
    pub(super) queued: Option<usize>,
    pub(super) watched: usize,
    pub(super) monitors: bool,
    pub(super) blocked: bool,
    /// The last command, never an argument.
    pub(super) command: String,
    /// Bytes of the running command, if it is one that shows them.
    query: usize,
    active: Instant,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Client>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection; it is there until the guard drops.
    pub(super) fn add(self: &Arc<Self>, address: SocketAddr, local: SocketAddr) -> Listed {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let client = Arc::new(Client {
            id,
            address,
            local,
            connected: now,
            state: Mutex::new(ClientState {
                database: None,
                user: "default".to_owned(),
                name: Vec::new(),
                library: Vec::new(),
                library_version: Vec::new(),
                version: Version::Resp2,
                channels: 0,
                patterns: 0,
                queued: None,
                watched: 0,
                monitors: false,
                blocked: false,
                command: "NULL".to_owned(),
                query: 0,
                active: now,
            }),
            killed: watch::Sender::new(false),
            unblocked: watch::Sender::new(End::Time),
        });
        self.lock().insert(id, Arc::clone(&client));
        Listed {
            clients: Arc::clone(self),
            client,
        }
    }

    /// The connections to a database, by id.
    pub(super) fn of(&self, database: &str) -> Vec<Arc<Client>> {
        let open = self.lock();
        let clients = open.values();
        let of_database =
            |client: &&Arc<Client>| client.state().database.as_deref() == Some(database);
        clients.filter(of_database).cloned().collect()
    }

    /// How many connections opened a database, and how many of them wait for a key.
    pub(crate) fn count(&self, database: &str) -> (usize, usize) {
        let clients = self.of(database);
        let blocked = clients.iter().filter(|client| client.state().blocked);
        (clients.len(), blocked.count())
    }
}

/// Whether a subcommand follows the name.
fn has_subcommands(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 13] = [
        b"ACL",
        b"CLIENT",
        b"COMMAND",
        b"CONFIG",
        b"FUNCTION",
        b"LATENCY",
        b"MEMORY",
        b"MODULE",
        b"OBJECT",
        b"PUBSUB",
        b"SCRIPT",
        b"SLOWLOG",
        b"XINFO",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl Client {
    pub(super) fn state(&self) -> MutexGuard<'_, ClientState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a command, and which of its subcommands.
    pub(super) fn note(&self, args: &[&[u8]]) {
        let mut state = self.state();
        state.active = Instant::now();
        state.command.clear();
        let name = args.first().copied().unwrap_or_default();
        let shown = |command: &mut String, text: &[u8]| {
            let text = &text[..text.len().min(32)];
            if text.is_ascii() {
                let lower = text.iter().map(u8::to_ascii_lowercase);
                command.extend(lower.map(char::from));
            } else {
                command.push_str(&String::from_utf8_lossy(text).to_lowercase());
            }
        };
        shown(&mut state.command, name);
        let sub = args.get(1).filter(|_| has_subcommands(name));
        if let Some(sub) = sub.filter(|sub| sub.iter().all(u8::is_ascii_alphabetic)) {
            state.command.push('|');
            shown(&mut state.command, sub);
        }
    }

    /// Notes how long the running command is as it was sent.
    pub(super) fn note_query(&self, args: &[&[u8]]) {
        let digits = |number: usize| number.checked_ilog10().unwrap_or(0) as usize + 1;
        let each = |arg: &&[u8]| digits(arg.len()) + arg.len() + 5;
        let query = digits(args.len()) + 3 + args.iter().map(each).sum::<usize>();
        self.state().query = if args.is_empty() { 0 } else { query };
    }

    /// Ends the connection soon.
    pub(super) fn kill(&self) {
        self.killed.send_replace(true);
    }

    /// Completes when the connection is to end.
    pub(super) async fn killed(&self) {
        let mut killed = self.killed.subscribe();
        // The sender lives as long as `self`.
        let _ = killed.wait_for(|killed| *killed).await;
    }

    /// Ends the waiting of a command; `false`: none waits.
    pub(super) fn unblock(&self, end: End) -> bool {
        let blocked = self.state().blocked;
        if blocked {
            self.unblocked.send_replace(end);
        }
        blocked
    }

    /// Changes when CLIENT UNBLOCK ends the waiting of a command.
    pub(super) fn unblocked(&self) -> watch::Receiver<End> {
        self.unblocked.subscribe()
    }

    pub(super) fn age_secs(&self) -> u64 {
        self.connected.elapsed().as_secs()
    }

    /// The line of CLIENT LIST.
    pub(super) fn line(&self) -> String {
        let state = self.state();
        let mut flags = String::new();
        for (flag, set) in [
            ('O', state.monitors),
            ('P', state.channels + state.patterns > 0),
            ('x', state.queued.is_some()),
            ('b', state.blocked),
        ] {
            if set {
                flags.push(flag);
            }
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let queued = state.queued.map_or(-1, |queued| queued as i64);
        format!(
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 multi={queued} watch={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={}",
            self.id,
            self.address,
            self.local,
            String::from_utf8_lossy(&state.name),
            self.age_secs(),
            state.active.elapsed().as_secs(),
            state.channels,
            state.patterns,
            state.watched,
            state.query,
            state.command,
            state.user,
            match state.version {
                Version::Resp2 => 2,
                Version::Resp3 => 3,
            },
            String::from_utf8_lossy(&state.library),
            String::from_utf8_lossy(&state.library_version),
        )
    }
}

/// A connection that is listed until this drops.
#[derive(Debug)]
pub(super) struct Listed {
    clients: Arc<Clients>,
    pub(super) client: Arc<Client>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.clients.lock().remove(&self.client.id);
    }
}

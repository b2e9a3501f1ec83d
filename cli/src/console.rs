//! The console: its router from the options, and a listener of its own for `restis serve`.

use std::thread::JoinHandle;

use restis_console::{Console, Database};
use restis_server::Tenants;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::server::ServeArgs;
use crate::failure::Failure;
use crate::serve::Started;

/// The databases with the first token of each kind that opens them.
pub(crate) fn databases(tenants: &Tenants) -> Vec<Database> {
    let full = tenants.tokens().filter(|token| !token.read_only);
    let mut names = Vec::new();
    let mut databases = Vec::new();
    for token in full {
        if names.contains(&token.database) {
            continue;
        }
        names.push(token.database);
        let mut database = Database::new(token.database, token.secret);
        let is_reader =
            |other: &restis_server::Token<'_>| other.read_only && other.database == token.database;
        if let Some(reader) = tenants.tokens().find(is_reader) {
            database = database.read_only_token(reader.secret);
        }
        databases.push(database);
    }
    databases
}

/// The console of a server that runs.
pub(crate) fn of(args: &ServeArgs, started: &Started) -> Result<Console, Failure> {
    let mut console = Console::new(started.running.connector())
        .map_err(Failure::new)?
        .rest_url(started.running.url());
    if let Some(addr) = started.running.redis_addr() {
        console = console.redis_addr(addr);
    }
    for database in &started.databases {
        console = console.database(database.clone());
    }
    for name in &args.console_host {
        console = console.host(name);
    }
    Ok(console)
}

/// The console on a thread and at an address of its own.
pub(crate) struct Pages {
    link: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Pages {
    /// The link that opens the console once.
    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    pub(crate) fn stop(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(result) => {
                result.map_err(|error| Failure::new(format!("the console failed: {error}")))
            }
            Err(_) => Err(Failure::new("the console's thread failed")),
        }
    }
}

/// Serves the console at an address.
pub(crate) fn start(addr: &str, console: Console) -> Result<Pages, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop for the console: {error}")))?;
    let listener = runtime
        .block_on(TcpListener::bind(addr))
        .map_err(|error| Failure::bind(addr, "--console", &error))?;
    let address = listener.local_addr().map_err(Failure::new)?;
    let link = format!("http://{address}/{}", console.fragment());
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        runtime.block_on(async {
            let serving = axum::serve(listener, console.router());
            tokio::select! {
                result = serving => result,
                // A dropped sender means the same as a sent one.
                _ = stopped => Ok(()),
            }
        })
    });
    Ok(Pages { link, stop, thread })
}

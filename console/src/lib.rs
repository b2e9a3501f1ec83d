//! The console of restis: pages that show a store, and the functions beside it, in a browser.
//!
//! [`Console`] is an axum router. Its pages are in the binary and need no network. What it shows is
//! open to whoever holds the one-time token of the link that [`Console::fragment`] gives, or a token
//! of a database:
//!
//! ```no_run
//! use restis_console::{Console, Database};
//! use restis_server::Server;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().token("TOKEN").bind("127.0.0.1:0")?.spawn()?;
//! let console = Console::new(server.connector())?
//!     .database(Database::new("db0", "TOKEN"))
//!     .rest_url(server.url());
//! println!("http://127.0.0.1:8070/{}", console.fragment());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8070").await?;
//! axum::serve(listener, console.router()).await?;
//! # Ok(())
//! # }
//! ```

mod access;
mod faults;
mod host;
mod live;
mod pages;
mod requests;
mod session;
mod store;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};
use restis_server::Connector;
use tokio::sync::watch;

use access::Access;
use requests::Requests;
pub use requests::{Trip, note_trip};

/// A database that the console shows.
#[derive(Clone)]
pub struct Database {
    name: String,
    token: String,
    read_only_token: Option<String>,
}

impl Database {
    /// A database and a token that opens it.
    pub fn new(name: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            token: token.into(),
            read_only_token: None,
        }
    }

    /// A token that may only read, to show beside the other.
    #[must_use]
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.read_only_token = Some(token.into());
        self
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The functions beside the store.
#[derive(Clone)]
struct Functions {
    url: String,
    token: Option<String>,
}

/// What the pages show, and who may see it.
#[derive(Clone)]
pub struct Console {
    connector: Connector,
    databases: Vec<Database>,
    rest_url: String,
    redis_addr: Option<SocketAddr>,
    functions: Option<Functions>,
    sets_faults: bool,
    hosts: Vec<String>,
    access: Arc<Access>,
    requests: Arc<Requests>,
    stop: Arc<watch::Sender<bool>>,
}

/// Ends the streams of a console, so that its listener can stop.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<bool>>);

impl StopHandle {
    /// Ends every stream that a page reads.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Console {
    /// A console of the server that `connector` leads to, with a one-time token of its own.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn new(connector: Connector) -> io::Result<Self> {
        Ok(Self {
            connector,
            databases: Vec::new(),
            rest_url: String::new(),
            redis_addr: None,
            functions: None,
            sets_faults: false,
            hosts: Vec::new(),
            access: Arc::new(Access::new()?),
            requests: Arc::new(Requests::new()),
            stop: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Shows a database.
    #[must_use]
    pub fn database(mut self, database: Database) -> Self {
        self.databases.push(database);
        self
    }

    /// The address of the REST API, to copy.
    #[must_use]
    pub fn rest_url(mut self, url: impl Into<String>) -> Self {
        self.rest_url = url.into();
        self
    }

    /// The address of the Redis protocol, to copy.
    #[must_use]
    pub fn redis_addr(mut self, addr: SocketAddr) -> Self {
        self.redis_addr = Some(addr);
        self
    }

    /// The functions that the same origin serves, and a service token for them.
    #[must_use]
    pub fn functions(mut self, url: impl Into<String>, token: Option<String>) -> Self {
        self.functions = Some(Functions {
            url: url.into(),
            token,
        });
        self
    }

    /// Lets the pages set the faults that the server injects. Their own requests meet none.
    #[must_use]
    pub fn sets_faults(mut self) -> Self {
        self.sets_faults = true;
        self
    }

    /// A name, beside addresses and `localhost`, by which browsers may call the console.
    ///
    /// Other names are refused: a page of another site could point its own name here.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into().to_ascii_lowercase());
        self
    }

    /// The end of the link that opens the console once: `#token=…`. It stays in the browser.
    pub fn fragment(&self) -> String {
        format!("#token={}", self.access.one_time_token())
    }

    /// Ends the streams of the pages.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.stop))
    }

    /// Ready when the streams are to end.
    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // An error: the console is gone.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Notes the requests to a router, which the pages show with their commands.
    pub fn observe(&self, router: Router) -> Router {
        let console = Arc::new(self.clone());
        router.layer(axum::middleware::from_fn_with_state(
            console,
            requests::note,
        ))
    }

    /// The pages at `/` and `/console/`, and what they call.
    pub fn router(self) -> Router {
        let console = Arc::new(self);
        let guarded = Router::new()
            .route("/console/api/session", get(session::show))
            .route("/console/api/requests", get(requests::follow))
            .route(
                "/console/api/faults",
                get(faults::show).put(faults::set).delete(faults::clear),
            )
            .route("/console/api/monitor/{database}", get(live::monitor))
            .route("/console/api/slow-log/{database}", get(live::slow_log))
            .route("/console/api/store/{database}", any(store::forward))
            .route("/console/api/store/{database}/{*path}", any(store::forward))
            .route_layer(axum::middleware::from_fn_with_state(
                Arc::clone(&console),
                session::require,
            ));
        Router::new()
            .route("/", get(pages::index))
            .route("/console/assets/{*path}", get(pages::asset))
            .route(
                "/console/api/session",
                post(session::open).delete(session::close),
            )
            .merge(guarded)
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&console),
                host::check,
            ))
            .with_state(console)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("databases", &self.databases)
            .field("rest_url", &self.rest_url)
            .finish_non_exhaustive()
    }
}

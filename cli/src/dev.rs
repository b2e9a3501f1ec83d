//! `restis dev`: the REST server and the functions in one process.

use std::thread::JoinHandle;

use restis::Redis;
use restis::events::{Environment, GrantKeys};
use restis::session::SessionConfig;
use restis::variables::get;
use restis_handlers::{AppState, Config};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::{DevArgs, Failure};
use crate::banner::{self, Banner, Secret};
use crate::serve::Started;
use crate::signals::Signals;
use crate::trace::Traced;
use crate::{console, docs, logs, serve};

pub(crate) fn run(args: &DevArgs) -> Result<(), Failure> {
    if args.serve.tls_cert.is_some() {
        return Err(Failure::usage(
            "--tls-cert is for `restis serve`; `restis dev` speaks plain HTTP",
        ));
    }
    logs::start(&args.serve.log, args.serve.log_json)?;
    let signals = Signals::install()?;
    let started = serve::start(&args.serve, &serve::LOCAL_REDIS)?;
    let functions = match &started.token {
        Some(token) => Some(Functions::start(args, &started, token)?),
        None => None,
    };
    if !args.serve.quiet {
        banner::print(&Banner {
            running: &started.running,
            token: started.secret(),
            functions: functions.as_ref().map(|f| (f.url.as_str(), f.secret())),
            console: functions.as_ref().and_then(|f| f.console_link()),
            store: &started.store,
        });
    }
    // The functions stop first: their last requests still need the store.
    let mut stopped = Ok(());
    signals.serve(&started.running, || {
        stopped = functions.map_or(Ok(()), Functions::stop);
    })?;
    stopped
}

/// Sessions as the environment says, with defaults for a laptop: secrets that live as long as the
/// process, cookies over plain HTTP (a browser would drop those that need HTTPS), open fields.
fn session_config() -> Result<SessionConfig, Failure> {
    let secret = restis_server::random_token().map_err(Failure::new)?;
    SessionConfig::from_lookup(|name| {
        get(name).or_else(|| match name {
            "SESSION_SECRETS" => Some(secret.clone()),
            "SESSION_COOKIE_INSECURE" => Some("true".to_owned()),
            "SESSION_CLIENT_FIELDS" => Some("*".to_owned()),
            _ => None,
        })
    })
    .map_err(|problems| Failure::usage(problems.join("\n")))
}

/// Secrets that live as long as the process, so that grants work.
fn grant_keys(environment: Environment) -> Result<GrantKeys, Failure> {
    let secret = restis_server::random_token().map_err(Failure::new)?;
    GrantKeys::new([secret], environment).map_err(Failure::new)
}

/// The functions on a thread of their own, with the REST server as their store.
struct Functions {
    url: String,
    /// The link that opens the console, and what ends its streams.
    console: Option<(String, restis_console::StopHandle)>,
    /// The service token that was made, unless the environment has one.
    token: Option<String>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Functions {
    fn start(args: &DevArgs, started: &Started, store_token: &str) -> Result<Self, Failure> {
        let redis = Redis::builder(started.running.url(), store_token)
            .wrap_transport(Traced)
            .and_then(restis::config::Builder::build)
            .map_err(Failure::new)?;
        let mut config = Config::from_env().map_err(Failure::usage)?;
        let token = match get("RESTIS_SERVICE_TOKEN") {
            Some(token) if !token.trim().is_empty() => None,
            _ => {
                let token = restis_server::random_token().map_err(Failure::new)?;
                config.tokens = config.tokens.with_full_access("dev", &token);
                Some(token)
            }
        };
        if config.grant_keys.is_none() {
            config.grant_keys = Some(grant_keys(config.environment)?);
        }
        let state = AppState::builder(redis)
            .config(config)
            .sessions(session_config()?)
            .build()
            .map_err(Failure::usage)?;
        let mut app = restis_handlers::app(state).merge(docs::routes());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("no event loop for the functions: {error}")))?;
        let listener = runtime
            .block_on(TcpListener::bind(&args.functions_addr))
            .map_err(|error| Failure::bind(&args.functions_addr, "--functions-addr", &error))?;
        let address = listener.local_addr().map_err(Failure::new)?;
        let url = format!("http://{address}");
        let mut console = None;
        // Pages that may do everything are for this machine, unless they are asked for.
        if address.ip().is_loopback() || args.serve.console.is_some() {
            let pages = console::of(&args.serve, started)?.functions(&url, token.clone());
            console = Some((format!("{url}/{}", pages.fragment()), pages.stop_handle()));
            app = pages.observe(app).merge(pages.router());
        }
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(restis_handlers::serve(listener, app, async {
                // A dropped sender means the same as a sent one.
                let _ = stopped.await;
            }))
        });
        Ok(Self {
            url,
            console,
            token,
            stop,
            thread,
        })
    }

    /// The service token as it may be printed.
    fn secret(&self) -> Secret<'_> {
        let token = self.token.as_deref();
        token.map_or(Secret::Variable("$RESTIS_SERVICE_TOKEN"), Secret::Text)
    }

    fn console_link(&self) -> Option<&str> {
        self.console.as_ref().map(|(link, _)| link.as_str())
    }

    /// Finishes open requests and deferred work.
    fn stop(self) -> Result<(), Failure> {
        if let Some((_, streams)) = &self.console {
            streams.stop();
        }
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(result) => {
                result.map_err(|error| Failure::new(format!("the functions failed: {error}")))
            }
            Err(_) => Err(Failure::new("the functions' thread failed")),
        }
    }
}

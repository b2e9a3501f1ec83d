//! `restis dev`: the REST server and the functions in one process.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use restis::Redis;
use restis::clock::{Clock, SystemClock};
use restis::events::{Environment, GrantKeys};
use restis::metrics::Families;
use restis::session::SessionConfig;
use restis::variables::get;
use restis_handlers::{AppState, Config};
use restis_server::TestControl;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::args::server::DevArgs;
use crate::banner::{self, Banner, Secret};
use crate::failure::Failure;
use crate::serve::{Defaults, Started};
use crate::signals::Signals;
use crate::state::{DevState, Secrets};
use crate::trace::Traced;
use crate::{console, logs, serve, telemetry};

pub(crate) fn run(args: &DevArgs) -> Result<(), Failure> {
    if args.serve.tls_cert.is_some() {
        return Err(Failure::usage(
            "--tls-cert is for `restis serve`; `restis dev` speaks plain HTTP",
        ));
    }
    logs::start(&args.serve.log)?;
    let signals = Signals::install()?;
    let kept = match args.ephemeral {
        true => None,
        false => Some(DevState::open(Path::new(""))?),
    };
    let secrets = match &kept {
        Some(kept) => kept.secrets.clone(),
        None => Secrets::random()?,
    };
    let defaults = Defaults {
        redis: &serve::local(6379),
        token: Some(&secrets.token),
        data: kept.as_ref().map(|kept| kept.data.as_path()),
        control: Some(TestControl::default()),
    };
    let started = serve::start(&args.serve, &defaults)?;
    let functions = match &started.token {
        Some(token) => Some(Functions::start(args, &started, token, &secrets)?),
        None => None,
    };
    if !args.serve.quiet {
        banner::print(&Banner {
            running: &started.running,
            token: started.secret(),
            functions: functions.as_ref().map(|f| (f.url.as_str(), f.secret())),
            console: functions.as_ref().and_then(|f| f.console_link()),
            secrets: functions.as_ref().map_or(&[], |f| &f.secrets),
            store: &started.store,
        });
    }
    // The functions stop first: their last requests still need the store.
    let mut stopped = Ok(());
    signals.serve(&started.running, Duration::ZERO, || {
        stopped = functions.map_or(Ok(()), Functions::stop);
    })?;
    stopped
}

/// Sessions as the environment says, with defaults for a laptop: a secret that was made, cookies
/// over plain HTTP (a browser would drop those that need HTTPS), open fields.
fn session_config(secret: &str) -> Result<SessionConfig, Failure> {
    SessionConfig::from_lookup(|name| {
        get(name).or_else(|| match name {
            "SESSION_SECRETS" => Some(secret.to_owned()),
            "SESSION_COOKIE_INSECURE" => Some("true".to_owned()),
            "SESSION_CLIENT_FIELDS" => Some("*".to_owned()),
            _ => None,
        })
    })
    .map_err(|problems| Failure::usage(problems.join("\n")))
}

/// Keys of a secret that was made, so that grants work.
fn grant_keys(secret: &str, environment: Environment) -> Result<GrantKeys, Failure> {
    GrantKeys::new([secret.to_owned()], environment).map_err(Failure::new)
}

/// Listens where the options say, or at the first port that is free.
fn listen(runtime: &Runtime, args: &DevArgs) -> Result<TcpListener, Failure> {
    const OPTION: &str = "--functions-addr";
    let bind = |addr: &str| runtime.block_on(TcpListener::bind(addr));
    if let Some(addr) = &args.functions_addr {
        return bind(addr).map_err(|error| Failure::bind(addr, OPTION, &error));
    }
    let mut failure = None;
    // 3000 is where Next.js listens.
    for addr in serve::local(3030) {
        let addr = addr.to_string();
        match bind(&addr) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(Failure::bind(&addr, OPTION, &error)),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::new("no address for the functions")))
}

/// The machine's clock, as far ahead as the store's.
#[derive(Debug)]
struct ShiftedClock {
    machine: SystemClock,
    control: TestControl,
}

impl ShiftedClock {
    fn new(control: TestControl) -> Self {
        Self {
            machine: SystemClock::default(),
            control,
        }
    }
}

impl Clock for ShiftedClock {
    fn now_ms(&self) -> u64 {
        let ahead = u64::try_from(self.control.ahead().as_millis());
        self.machine
            .now_ms()
            .saturating_add(ahead.unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic() + self.control.ahead()
    }
}

/// The functions on a thread of their own, with the REST server as their store.
struct Functions {
    url: String,
    /// The link that opens the console, and what ends its streams.
    console: Option<(String, restis_console::StopHandle)>,
    /// The service token that was made, unless the environment has one.
    token: Option<String>,
    /// Variables with the other secrets that were made.
    secrets: Vec<(&'static str, String)>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Functions {
    fn start(
        args: &DevArgs,
        started: &Started,
        store_token: &str,
        made: &Secrets,
    ) -> Result<Self, Failure> {
        let redis = Redis::builder(started.running.url(), store_token)
            .wrap_transport(Traced)
            .and_then(restis::config::Builder::build)
            .map_err(Failure::new)?;
        let mut config = Config::from_env().map_err(Failure::usage)?;
        let token = match get("RESTIS_SERVICE_TOKEN") {
            Some(token) if !token.trim().is_empty() => None,
            _ => {
                let token = made.service_token.clone();
                config.tokens = config.tokens.with_full_access("dev", &token);
                Some(token)
            }
        };
        let mut secrets = Vec::new();
        if get("SESSION_SECRETS").is_none() {
            secrets.push(("SESSION_SECRETS", made.session_secret.clone()));
        }
        if config.grant_keys.is_none() {
            config.grant_keys = Some(grant_keys(&made.grant_secret, config.environment)?);
            secrets.push(("EVENTS_GRANT_SECRETS", made.grant_secret.clone()));
        }
        let telemetry = telemetry::from_env()?;
        let mut builder = AppState::builder(redis)
            .config(config)
            .sessions(session_config(&made.session_secret)?)
            .clock(ShiftedClock::new(
                started.control.clone().unwrap_or_default(),
            ));
        if let Some(telemetry) = &telemetry {
            builder = builder.telemetry(telemetry.clone());
        }
        let state = builder.build().map_err(Failure::usage)?;
        let mut app = restis_handlers::app(state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("no event loop for the functions: {error}")))?;
        let listener = listen(&runtime, args)?;
        let address = listener.local_addr().map_err(Failure::new)?;
        let url = format!("http://{address}");
        let mut console = None;
        // Pages that may do everything are for this machine, unless they are asked for.
        if address.ip().is_loopback() || args.serve.console.is_some() {
            let pages = console::of(&args.serve, started)?
                .functions(&url, token.clone())
                .sets_faults();
            console = Some((format!("{url}/{}", pages.fragment()), pages.stop_handle()));
            app = pages.observe(app).merge(pages.router());
        }
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let served = restis_handlers::serve(listener, app, async {
                // A dropped sender means the same as a sent one.
                let _ = stopped.await;
            });
            runtime.block_on(async {
                match telemetry {
                    Some(telemetry) => {
                        telemetry
                            .run_beside(served, async || Families::default())
                            .await
                    }
                    None => served.await,
                }
            })
        });
        Ok(Self {
            url,
            console,
            token,
            secrets,
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

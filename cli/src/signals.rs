//! Ctrl-C and SIGTERM.

use std::time::Duration;

use restis_server::Running;
use tokio::runtime::Runtime;

use crate::failure::Failure;

/// Signals, received from the moment this exists.
#[derive(Debug)]
pub(crate) struct Signals {
    runtime: Runtime,
    stop: Stop,
}

impl Signals {
    /// Takes over the signals; before this they end the process at once.
    pub(crate) fn install() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("no event loop for signals: {error}")))?;
        let stop = {
            let _inside = runtime.enter();
            Stop::install()
        };
        let stop =
            stop.map_err(|error| Failure::new(format!("signals cannot be received: {error}")))?;
        Ok(Self { runtime, stop })
    }

    /// The signal that arrives within a time, if one does.
    pub(crate) fn arrived_within(&mut self, time: Duration) -> Option<Kind> {
        let Self { runtime, stop } = self;
        runtime.block_on(async { tokio::time::timeout(time, stop.signal()).await.ok() })
    }

    /// Serves until a signal arrives, drains for a time, then stops cleanly; a second signal while it
    /// drains ends the draining, and one later the process.
    ///
    /// `before` stops what uses the server.
    pub(crate) fn serve(
        self,
        running: &Running,
        drain: Duration,
        before: impl FnOnce() + Send,
    ) -> Result<(), Failure> {
        let Self { runtime, mut stop } = self;
        let handle = running.stop_handle();
        runtime.block_on(async {
            tokio::select! {
                _ = stop.signal() => {}
                () = handle.stopped() => return,
            }
            running.drain();
            let _ = tokio::time::timeout(drain, stop.signal()).await;
        });
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| {
                before();
                running.stop();
            });
            runtime.block_on(async {
                while !stopping.is_finished() {
                    tokio::select! {
                        _ = stop.signal() => std::process::exit(130),
                        () = tokio::time::sleep(Duration::from_millis(5)) => {}
                    }
                }
            });
        });
        let failed = running.save_error();
        failed.map_or(Ok(()), |error| Err(Failure::new(error)))
    }
}

/// Which signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ctrl-C, which every program of the terminal gets.
    Interrupt,
    #[cfg_attr(windows, expect(dead_code, reason = "no such signal on Windows"))]
    Terminate,
}

#[cfg(unix)]
#[derive(Debug)]
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn signal(&mut self) -> Kind {
        tokio::select! {
            _ = self.interrupt.recv() => Kind::Interrupt,
            _ = self.terminate.recv() => Kind::Terminate,
        }
    }
}

#[cfg(windows)]
#[derive(Debug)]
struct Stop(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Stop {
    fn install() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn signal(&mut self) -> Kind {
        self.0.recv().await;
        Kind::Interrupt
    }
}

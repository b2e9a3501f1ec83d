//! Ctrl-C and SIGTERM.

use restis_server::{Running, StopHandle};

use crate::args::Failure;

/// Serves until a signal arrives, then stops cleanly; a second signal ends at once.
///
/// `before` stops what uses the server.
pub(crate) fn serve_until_signal(
    running: &Running,
    before: impl FnOnce() + Send,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop for signals: {error}")))?;
    runtime
        .block_on(wait(running.stop_handle()))
        .map_err(|error| Failure::new(format!("signals cannot be received: {error}")))?;
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| {
            before();
            running.stop();
        });
        runtime.block_on(async {
            let second = tokio::spawn(async {
                if signal().await.is_ok() {
                    std::process::exit(130);
                }
            });
            while !stopping.is_finished() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            second.abort();
        });
    });
    running
        .save_error()
        .map_or(Ok(()), |error| Err(Failure::new(error)))
}

async fn wait(handle: StopHandle) -> std::io::Result<()> {
    tokio::select! {
        outcome = signal() => outcome,
        () = handle.stopped() => Ok(()),
    }
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

//! The end of a process, for those who would outlast it.

use tokio::sync::watch;

/// True once the process is asked to stop: streams take their leave.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self(stopping)
    }

    pub(crate) fn now(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the process is asked to stop.
    pub(crate) async fn begins(&mut self) {
        if self.0.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

//! The event loops that benchmarks run on.

use crate::failure::Failure;

/// An event loop of one thread, as in a function.
pub(crate) fn event_loop() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))
}

/// Runs `work` in a task, as a server does; blocking on a future costs a system call a wake-up.
pub(crate) fn in_task<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    runtime
        .block_on(runtime.spawn(work))
        .map_err(|error| Failure::new(format!("the task failed: {error}")))?
}

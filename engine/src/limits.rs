//! What one call may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::Error;

/// Limits of the calls made through one handle; see [`Engine::with_limits`](crate::Engine::with_limits).
///
/// ```
/// use std::time::{Duration, Instant};
/// use restis_engine::{CallLimits, CancelToken, Engine, Reply};
///
/// let engine = Engine::default();
/// let cancel = CancelToken::default();
/// let limits = CallLimits::default()
///     .deadline(Instant::now() + Duration::from_secs(5))
///     .cancel(cancel.clone())
///     .reply_bytes(1 << 20);
/// let request = engine.with_limits(limits);
/// assert_eq!(request.call(&["SET", "k", "v"]), Reply::ok());
/// cancel.cancel();
/// assert!(request.call(&["GET", "k"]).is_error());
/// assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("v"));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallLimits {
    /// When commands stop; what has not begun by then is refused.
    pub deadline: Option<Instant>,
    /// Stops commands when it is cancelled.
    pub cancel: Option<CancelToken>,
    /// The most bytes that the replies of one call, batch or transaction may have together.
    pub reply_bytes: Option<usize>,
}

impl CallLimits {
    /// Stops commands at this time.
    #[must_use]
    pub fn deadline(mut self, at: Instant) -> Self {
        self.deadline = Some(at);
        self
    }

    /// Stops commands when this token is cancelled.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Replaces a reply by an error if the replies so far would have more bytes than this.
    #[must_use]
    pub fn reply_bytes(mut self, most: usize) -> Self {
        self.reply_bytes = Some(most);
        self
    }
}

/// Why a call is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Cancelled,
    /// By this command.
    Killed(&'static str),
    OutOfTime,
}

impl Ended {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Killed(by) => Error::new(format!(
                "ERR Error running script: Script killed by user with {by}."
            )),
            Self::Cancelled => Error::fixed("ERR the call was cancelled"),
            Self::OutOfTime => Error::fixed("BUSY the time of the call is over"),
        }
    }
}

impl CallLimits {
    /// Fails if the call is over.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Ended> {
        if self.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Err(Ended::Cancelled);
        }
        self.check_time(now)
    }

    /// Fails if the time is over.
    pub(crate) fn check_time(&self, now: Instant) -> Result<(), Ended> {
        match self.deadline {
            Some(deadline) if now > deadline => Err(Ended::OutOfTime),
            _ => Ok(()),
        }
    }

    /// Whether nothing is limited.
    pub(crate) const fn is_default(&self) -> bool {
        self.deadline.is_none() && self.cancel.is_none() && self.reply_bytes.is_none()
    }
}

/// Cancels the calls it was given to; a cheap clone.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Stops running commands soon, and all later ones; not a script or a transaction that has
    /// written, which ends whole.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

//! What happens to sessions, for logs, metrics and alarms.

use super::Sid;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A session was created.
    Created,
    /// A login was repeated and got the first session.
    Repeated,
    /// A login was refused: the user has as many sessions as allowed.
    LimitReached,
    /// A login was refused: it began before "sign out everywhere".
    StaleLogin,
    /// A session got a new identifier.
    Rotated,
    /// A session was ended on purpose.
    Revoked,
    /// A session was ended to make room for a newer one.
    Evicted,
    /// A session was replaced by the next login of the same browser or device.
    Replaced,
    /// A change was refused: the version had moved on.
    Conflict,
    /// A change came after the end of its session and was dropped.
    Gone,
    /// A session was found past its end.
    Expired,
    /// An old identifier was used after its grace: the session family was ended.
    Reused,
    /// A well-signed token of which the store knows nothing: expired, or a sign of tampering.
    Unknown,
    /// A cookie that was not signed here, or several of them.
    Forged,
    /// Another browser or platform uses the session.
    DeviceChanged,
    /// A request from another site was refused.
    CrossSite,
    /// A login key that is good once came again.
    Replayed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::Created,
        Self::Repeated,
        Self::LimitReached,
        Self::StaleLogin,
        Self::Rotated,
        Self::Revoked,
        Self::Evicted,
        Self::Replaced,
        Self::Conflict,
        Self::Gone,
        Self::Expired,
        Self::Reused,
        Self::Unknown,
        Self::Forged,
        Self::DeviceChanged,
        Self::CrossSite,
        Self::Replayed,
    ];

    /// Stable name for logs: the counter's without its prefix.
    pub fn name(self) -> &'static str {
        let name = self.counter();
        name.strip_prefix("sessions_").unwrap_or(name)
    }

    /// The counter among the client's metrics.
    pub(crate) fn counter(self) -> &'static str {
        match self {
            Self::Created => "sessions_created",
            Self::Repeated => "sessions_repeated",
            Self::LimitReached => "sessions_limit_reached",
            Self::StaleLogin => "sessions_stale_login",
            Self::Rotated => "sessions_rotated",
            Self::Revoked => "sessions_revoked",
            Self::Evicted => "sessions_evicted",
            Self::Replaced => "sessions_replaced",
            Self::Conflict => "sessions_conflict",
            Self::Gone => "sessions_gone",
            Self::Expired => "sessions_expired",
            Self::Reused => "sessions_reused",
            Self::Unknown => "sessions_unknown",
            Self::Forged => "sessions_forged",
            Self::DeviceChanged => "sessions_device_changed",
            Self::CrossSite => "sessions_cross_site",
            Self::Replayed => "sessions_replayed",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_alarm(self) -> bool {
        matches!(self, Self::Reused)
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionEvent {
    /// What.
    pub kind: EventKind,
    /// The user, if known.
    pub user: Option<String>,
    /// To which session, if known.
    pub public_id: Option<String>,
    /// First characters of the stored identifier.
    pub sid: Option<Sid>,
    /// Why: the operation that noticed it.
    pub reason: &'static str,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
}

/// Is told what happens. Must not block: it runs inside the operation.
pub trait SessionListener: fmt::Debug + Send + Sync + 'static {
    /// Called for every event.
    fn on_event(&self, event: &SessionEvent);
}

/// How often each kind happened in this process.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; EventKind::ALL.len()]);

impl Counters {
    pub(crate) fn add(&self, kind: EventKind, n: u64) {
        if let Some(counter) = self.0.get(kind as usize) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, kind: EventKind) -> u64 {
        self.0
            .get(kind as usize)
            .map_or(0, |c| c.load(Ordering::Relaxed))
    }
}

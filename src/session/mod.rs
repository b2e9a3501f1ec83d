//! Sessions in Redis: one request for each operation, never revived, never leaked.
//!
//! The browser holds a 256-bit token in a signed cookie; the store knows only a keyed hash of it.
//! A session is a hash with one field for each value, so that parallel requests which write
//! different fields both win, and it has a version for those who want compare-and-set. Nothing
//! brings a session back after sign-out: an update of a missing session answers
//! [`Updated::Gone`].
//!
//! | operation | requests |
//! |---|---|
//! | [`load`](Sessions::load) | 1 read; 0 without a well-signed cookie; 2 during the grace of a renewed identifier |
//! | [`create`](Sessions::create) | 1; 2 when sessions have to make room |
//! | [`touch`](Sessions::touch) | 0 or 1 |
//! | [`update`](Sessions::update), [`take_flash`](Sessions::take_flash) | 1 |
//! | [`rotate`](Sessions::rotate), [`logout`](Sessions::logout) | 1 |
//! | [`list`](Sessions::list), [`revoke_all`](Sessions::revoke_all), [`revoke_others`](Sessions::revoke_others) | 2 |
//! | [`count`](Sessions::count), [`active`](Sessions::active) | 1 |
//!
//! Limits: a session lives at most the absolute lifetime and ends after the idle time, which may be
//! overrun by the touch interval; all keys have a TTL. A revoked session is refused everywhere once
//! the store's replicas have caught up. Over the cap the session that was unused for the longest
//! time ends, or the login is refused, as configured.
//!
//! "No duplicate sessions" has four meanings, each with its switch: identifiers never collide (always);
//! a login sent twice makes one session ([`NewSession::repeat_key`]); the same browser signing in again
//! replaces its session ([`NewSession::replace`]); a user has one session, or one for each device
//! ([`SessionConfig::max_per_user`], [`SessionConfig::one_per_device`]).

mod assertion;
mod change;
mod codec;
mod config;
pub mod connect;
mod cookie;
mod create;
mod csrf;
#[cfg(feature = "tower")]
mod current;
mod device;
mod env;
mod error;
mod event;
mod keys;
mod list;
mod load;
mod new_session;
mod revoke;
mod rotate;
mod secrets;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod touch;
mod user;

pub use assertion::{Assertion, AssertionError, AssertionKeys, MAX_ASSERTION_AGE};
pub use change::{Changes, Updated, is_prefetch};
pub use codec::{Encryption, MAX_NAME_BYTES};
pub use config::{Counting, LimitPolicy, SessionConfig};
pub use cookie::{CookieConfig, Presented, SameSite};
pub use create::Creation;
pub use csrf::{CSRF_HEADER, CsrfPolicy, Origin};
#[cfg(feature = "tower")]
pub use current::{CurrentSession, SaveError};
pub use device::{Device, MAX_LABEL_BYTES};
pub use event::{EventKind, SessionEvent, SessionListener};
use keys::Keys;
pub use list::{Active, SessionInfo};
pub use load::{Absence, Loaded};
pub use new_session::{LoginEpoch, MAX_ID_BYTES, NewSession};
pub use rotate::{Rotated, Rotation};
pub use secrets::{MAX_SECRETS, MIN_SECRET_BYTES, Secrets};
pub use state::{Authentication, Session};
pub use store::{Sessions, SessionsBuilder};
pub use token::{Sid, Token, TokenError};
pub use touch::Touched;
pub use user::User;

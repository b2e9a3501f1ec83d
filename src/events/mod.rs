//! Events: published atomically, kept in a bounded history, read with proof of completeness.
//!
//! One script call checks for a repeat, gives the next offset, stores, trims, counts and announces.
//! Offsets are dense within an epoch, so a reader that holds a [`Cursor`] either gets every event
//! after it or is told to start over: never a silent gap. Events are
//! [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).
//!
//! ```no_run
//! use restis::{Redis, events::{Environment, Event, Events, HistoryQuery}};
//!
//! # async fn example() -> restis::Result<()> {
//! let redis = Redis::builder("https://example.upstash.io", "TOKEN").build()?;
//! let events = Events::new(redis, Environment::Development);
//! let event = Event::new("booking.created", "/bookings", serde_json::json!({ "id": 7 }))?;
//! let published = events.publish(&event).await?;
//! let page = events.history(&HistoryQuery::new().after(published.cursor)).await?;
//! assert!(page.events.is_empty() && page.reset.is_none());
//! # Ok(())
//! # }
//! ```

mod attributes;
mod backlog;
mod binary;
mod breaker;
mod cursor;
mod dead_letters;
mod environment;
mod event;
mod filter;
mod grant;
mod history;
mod hook;
mod keys;
mod publish;
#[cfg(feature = "schemas")]
mod schemas;
mod signature;
mod stats;
mod store;
mod subscribers;
mod time;
mod webhook;
#[cfg_attr(target_family = "wasm", path = "webhook_client_fetch.rs")]
mod webhook_client;
mod work;

pub use backlog::Backlog;
pub use breaker::EndpointBreaker;
pub use cursor::Cursor;
pub use dead_letters::DeadLetter;
pub use environment::Environment;
pub use event::{Event, check_name, is_reserved_type};
pub use filter::TypeFilter;
pub use grant::{Grant, GrantError, GrantKeys};
pub use history::{HistoryPage, HistoryQuery, Reset, Stored};
pub use hook::{Delivered, Hook};
pub use keys::{DedupKey, check_scope};
pub use publish::{Producer, Verdict};
#[cfg(feature = "schemas")]
pub use schemas::{SchemaError, Schemas};
pub use signature::{SignatureError, WebhookKeys};
pub use stats::{HourStats, Latencies};
pub use store::{Events, EventsConfig, Outcome, Published, Status};
pub use time::parse_time;
pub use webhook::{Endpoint, WebhookOutcome, is_public_address};
pub use webhook_client::WebhookClient;
pub use work::{Settle, Work, Worker};

//! What a subscription asks for and what arrives on it.
use bytes::Bytes;

/// What a subscription listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// These channels.
    Channels(Vec<String>),
    /// Channels that match these patterns.
    Patterns(Vec<String>),
    /// Every command.
    Monitor,
}

impl Listen {
    /// The channels or patterns.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Channels(names) | Self::Patterns(names) => names,
            Self::Monitor => &[],
        }
    }
}

/// What arrives on a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// A channel or pattern is subscribed.
    Subscribed {
        /// The channel or pattern.
        name: String,
        /// Subscriptions of this connection.
        count: u64,
    },
    /// A message.
    Message {
        /// The pattern that matched, if any.
        pattern: Option<String>,
        /// The channel.
        channel: Bytes,
        /// What was published.
        payload: Bytes,
    },
    /// A line of the monitor feed.
    Line(String),
}

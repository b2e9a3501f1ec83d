//! Streams: an ordered log of entries, and consumer groups.

/// The value behind a stream key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {}

impl Stream {
    /// Roughly the bytes this takes; must be cheap, it is asked after every write.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
    }
}

//! JSON documents.

/// The value behind a JSON key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Json {}

impl Json {
    /// Roughly the bytes this takes; must be cheap, it is asked after every write.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
    }
}

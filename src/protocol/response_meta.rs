/// What is known about a response beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResponseMeta {
    /// Attempts until the response arrived.
    pub(crate) attempts: u32,
    /// The HTTP status, if the transport has one.
    pub(crate) status: Option<u16>,
}

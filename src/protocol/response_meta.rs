/// What is known about a response beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResponseMeta {
    /// Attempts until it came.
    pub(crate) attempts: u32,
    /// Of HTTP, where there is one.
    pub(crate) status: Option<u16>,
}

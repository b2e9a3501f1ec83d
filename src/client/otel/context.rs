//! Which span encloses what runs now.

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpanContext {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// Whether its spans are exported.
    pub(super) sampled: bool,
}

tokio::task_local! {
    static CURRENT: SpanContext;
}

impl SpanContext {
    /// The enclosing span of this task.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// A caller's span, from its header `traceparent`.
    pub(super) fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |len: usize| {
            let part = parts.next().filter(|part| part.len() == len)?;
            hex::decode(part).ok()
        };
        let version = part(2)?;
        let (trace_id, span_id) = (part(32)?, part(16)?);
        let flags = part(2)?;
        let context = Self {
            trace_id: trace_id.try_into().ok()?,
            span_id: span_id.try_into().ok()?,
            sampled: flags[0] & 1 == 1,
        };
        let valid = context.trace_id != [0; 16] && context.span_id != [0; 8];
        (version != [0xff] && valid).then_some(context)
    }

    /// A span below another one, or the first of a new trace.
    ///
    /// A parent decides whether it is exported; the first of a trace always is.
    pub(super) fn below(parent: Option<Self>) -> Self {
        let mut bytes = [0; 24];
        // Without randomness the ids are zero, which collectors refuse.
        let _ = getrandom::fill(&mut bytes);
        let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
        trace_id.copy_from_slice(&bytes[..16]);
        span_id.copy_from_slice(&bytes[16..]);
        Self {
            trace_id: parent.map_or(trace_id, |parent| parent.trace_id),
            span_id,
            sampled: parent.is_none_or(|parent| parent.sampled),
        }
    }

    /// Runs a step of a task within this span.
    pub(super) fn within<R>(self, step: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self, step)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_traceparent_names_trace_span_and_whether_it_is_sampled() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = SpanContext::from_traceparent(text).unwrap();
        assert_eq!(
            hex::encode(parent.trace_id),
            "0af7651916cd43dd8448eb211c80319c"
        );
        let child = SpanContext::below(Some(parent));
        assert_eq!(child.trace_id, parent.trace_id);
        assert_ne!(child.span_id, parent.span_id);
        let off = SpanContext::from_traceparent(&text.replace("-01", "-00")).unwrap();
        assert!(child.sampled && !SpanContext::below(Some(off)).sampled);
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(SpanContext::from_traceparent(bad).is_none(), "{bad}");
        }
    }
}

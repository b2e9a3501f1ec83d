//! Sync tokens and request ids: one number that grows with every request.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Makes values that differ for every request and every start of the server.
#[derive(Debug)]
pub(crate) struct Ids {
    prefix: u32,
    next: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut seed = [0; 4];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        Ok(Self {
            prefix: u32::from_ne_bytes(seed),
            next: AtomicU64::new(1),
        })
    }

    pub(crate) fn next(&self) -> HeaderValue {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [0_u8; 25];
        let mut rest = text.as_mut_slice();
        // 8 + 1 + at most 16 hexadecimal digits always fit.
        let _ = write!(rest, "{:08x}-{n:x}", self.prefix);
        let left = rest.len();
        let text = &text[..text.len() - left];
        HeaderValue::from_bytes(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_id_is_new() {
        let ids = Ids::new().unwrap();
        let (first, second) = (ids.next(), ids.next());
        assert_ne!(first, second);
        assert!(first.to_str().unwrap().ends_with("-1"));
        ids.next.store(u64::MAX, Ordering::Relaxed);
        assert!(ids.next().to_str().unwrap().ends_with("-ffffffffffffffff"));
    }
}

//! Read your writes: the newest consistency token of a client.
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::transport::SyncToken;

/// The token of the newest known state; tokens are opaque, so newest is judged by order.
#[derive(Debug, Default)]
pub(crate) struct Chain(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    token: Option<SyncToken>,
    /// How often the token changed.
    version: u64,
}

/// Where the chain stood when a request left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

impl Chain {
    pub(crate) fn starting_at(token: Option<SyncToken>) -> Self {
        Self(Mutex::new(State { token, version: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn current(&self) -> Option<SyncToken> {
        self.lock().token.clone()
    }

    pub(crate) fn set(&self, token: SyncToken) {
        let mut state = self.lock();
        state.token = Some(token);
        state.version += 1;
    }

    /// The token to send, and a mark for [`advance`](Self::advance).
    pub(crate) fn start(&self) -> (Option<SyncToken>, Mark) {
        let state = self.lock();
        (state.token.clone(), Mark(state.version))
    }

    /// Takes the token of an answer.
    ///
    /// A read that left before the current token arrived may describe an older state than
    /// a write that overtook it; its token is not taken.
    pub(crate) fn advance(&self, mark: Mark, token: Option<SyncToken>, wrote: bool) {
        let Some(token) = token else { return };
        let mut state = self.lock();
        if wrote || state.version == mark.0 {
            state.token = Some(token);
            state.version += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn token(text: &str) -> Option<SyncToken> {
        Some(SyncToken::new(text).unwrap())
    }

    #[test]
    fn a_read_that_was_overtaken_does_not_set_the_chain_back() {
        let chain = Chain::default();
        let (_, read) = chain.start();
        let (_, write) = chain.start();
        chain.advance(write, token("after-write"), true);
        chain.advance(read, token("before-write"), false);
        assert_eq!(chain.current(), token("after-write"));
    }

    #[test]
    fn every_answer_in_turn_moves_the_chain() {
        let chain = Chain::default();
        for text in ["a", "b", "c"] {
            let (_, mark) = chain.start();
            chain.advance(mark, token(text), false);
            assert_eq!(chain.start().0, token(text));
        }
    }

    #[test]
    fn an_answer_without_a_token_keeps_the_last_one() {
        let chain = Chain::starting_at(token("a"));
        let (_, mark) = chain.start();
        chain.advance(mark, None, true);
        assert_eq!(chain.current(), token("a"));
    }
}

//! Read your writes: the newest consistency token of a client.
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::transport::SyncToken;

/// The token of the newest known state; tokens are opaque, so newest is judged by order.
#[derive(Debug, Default)]
pub(crate) struct SyncState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    token: Option<SyncToken>,
    /// How often the token changed.
    version: u64,
}

/// The version of the state when a request was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

impl SyncState {
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
    fn a_read_that_was_overtaken_does_not_set_the_state_back() {
        let sync_state = SyncState::default();
        let (_, read) = sync_state.start();
        let (_, write) = sync_state.start();
        sync_state.advance(write, token("after-write"), true);
        sync_state.advance(read, token("before-write"), false);
        assert_eq!(sync_state.current(), token("after-write"));
    }

    #[test]
    fn every_answer_in_turn_moves_the_state() {
        let sync_state = SyncState::default();
        for text in ["a", "b", "c"] {
            let (_, mark) = sync_state.start();
            sync_state.advance(mark, token(text), false);
            assert_eq!(sync_state.start().0, token(text));
        }
    }

    #[test]
    fn an_answer_without_a_token_keeps_the_last_one() {
        let sync_state = SyncState::starting_at(token("a"));
        let (_, mark) = sync_state.start();
        sync_state.advance(mark, None, true);
        assert_eq!(sync_state.current(), token("a"));
    }
}

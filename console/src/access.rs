//! Who may see the console: a token that opens it once, and the sessions of browsers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use restis_server::random_token;
use subtle::ConstantTimeEq as _;

/// Browsers that may be open at once; the oldest makes room.
const SESSIONS: usize = 64;

/// The one-time token, and the sessions that were opened.
pub(crate) struct Access {
    one_time: String,
    state: Mutex<State>,
}

struct State {
    is_used: bool,
    sessions: VecDeque<String>,
}

impl Access {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            one_time: random_token()?,
            state: Mutex::new(State {
                is_used: false,
                sessions: VecDeque::new(),
            }),
        })
    }

    pub(crate) fn one_time_token(&self) -> &str {
        &self.one_time
    }

    /// Opens a session for the one-time token, the first time it is shown.
    pub(crate) fn redeem(&self, token: &str) -> io::Result<Option<String>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_used || !is_equal(token, &self.one_time) {
            return Ok(None);
        }
        let session = state.open()?;
        state.is_used = true;
        Ok(Some(session))
    }

    /// Opens a session for a browser that has shown a token of a database.
    pub(crate) fn open(&self) -> io::Result<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open()
    }

    /// Whether a session is open.
    pub(crate) fn is_open(&self, session: &str) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = state.sessions.iter();
        // Every session is compared: the time says nothing about which one matched.
        open.fold(false, |found, known| is_equal(session, known) | found)
    }

    /// Ends a session.
    pub(crate) fn close(&self, session: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sessions.retain(|known| !is_equal(session, known));
    }
}

impl State {
    fn open(&mut self) -> io::Result<String> {
        let session = random_token()?;
        if self.sessions.len() == SESSIONS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(session.clone());
        Ok(session)
    }
}

/// Compares secrets in constant time.
pub(crate) fn is_equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

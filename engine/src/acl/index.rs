//! Which token is whose: asked without the database's lock.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use subtle::ConstantTimeEq as _;

use super::token::{Digested, Token};

/// A digest that is compared in constant time.
struct Key(Digested);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The tokens of users that are on.
///
/// A request is refused or admitted by this alone: it never waits for a command that runs.
#[derive(Default)]
pub(crate) struct TokenIndex(RwLock<HashMap<Key, Arc<str>>>);

impl std::fmt::Debug for TokenIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenIndex")
    }
}

impl TokenIndex {
    /// The user this token belongs to.
    pub(crate) fn user(&self, token: &Token) -> Option<Arc<str>> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        index.get(&Key(token.digest())).cloned()
    }

    /// Replaces the tokens that one user had.
    pub(super) fn set(&self, user: &str, before: &[Digested], after: &[Digested]) {
        let user: Arc<str> = Arc::from(user);
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for digest in before {
            index.remove(&Key(*digest));
        }
        index.extend(after.iter().map(|digest| (Key(*digest), Arc::clone(&user))));
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.clear();
    }
}

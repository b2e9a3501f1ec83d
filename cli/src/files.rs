//! How many files this process may have open: a server needs one for every connection.

/// As many as fit the most connections, with room for the rest.
#[cfg(unix)]
const WANTED: u64 = 16_384;

/// Raises the limit as far as needed and allowed; many systems begin at 256 or 1,024.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(wanted);
    // Where this is not allowed, fewer connections fit.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// There is no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}

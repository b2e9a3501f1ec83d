//! The slow log: commands that took longer than a threshold.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::command::Args;

/// Arguments of an entry; Redis keeps as many.
const ARGUMENTS: usize = 32;
/// Bytes of an argument that are kept.
const ARGUMENT_BYTES: usize = 128;
/// Entries that can be asked for.
pub(crate) const MOST: usize = 1024;

/// One slow command.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// Unix seconds at its start.
    pub(crate) at: u64,
    pub(crate) took: Duration,
    pub(crate) args: Vec<Bytes>,
}

/// The newest slow commands.
#[derive(Debug)]
pub(crate) struct SlowLog {
    /// Commands that take at least so long are kept; `None`: none are.
    pub(crate) threshold: Option<Duration>,
    /// How many are kept.
    pub(crate) most: usize,
    next_id: u64,
    entries: VecDeque<Entry>,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self {
            threshold: Some(Duration::from_millis(10)),
            most: 128,
            next_id: 0,
            entries: VecDeque::new(),
        }
    }
}

impl SlowLog {
    /// Keeps a command that was slow.
    pub(crate) fn note(&mut self, at: u64, took: Duration, args: Args<'_>) {
        if self.most == 0 || self.threshold.is_none_or(|least| took < least) {
            return;
        }
        self.entries.truncate(self.most - 1);
        self.entries.push_front(Entry {
            id: self.next_id,
            at,
            took,
            args: shortened(args),
        });
        self.next_id += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The newest entries, the newest first.
    pub(crate) fn newest(&self, count: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().take(count)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
        self.entries.truncate(most);
    }
}

/// The arguments, in the words of Redis where something was left out.
fn shortened(args: Args<'_>) -> Vec<Bytes> {
    let name = args.first().copied().unwrap_or_default();
    // Their arguments are secrets.
    if name.eq_ignore_ascii_case(b"ACL") && args.len() > 2 {
        let redacted = std::iter::repeat_n(Bytes::from_static(b"(redacted)"), args.len() - 2);
        let kept = args.iter().take(2).map(|arg| Bytes::copy_from_slice(arg));
        return kept.chain(redacted).take(ARGUMENTS).collect();
    }
    let whole = args.len() <= ARGUMENTS;
    let kept = if whole { args.len() } else { ARGUMENTS - 1 };
    let mut all: Vec<Bytes> = args.iter().take(kept).map(|arg| argument(arg)).collect();
    if !whole {
        let left = args.len() - kept;
        all.push(Bytes::from(format!("... ({left} more arguments)")));
    }
    all
}

fn argument(arg: &[u8]) -> Bytes {
    match arg.get(..ARGUMENT_BYTES) {
        Some(start) if arg.len() > ARGUMENT_BYTES => {
            let left = arg.len() - ARGUMENT_BYTES;
            let more = format!("... ({left} more bytes)");
            Bytes::from([start, more.as_bytes()].concat())
        }
        _ => Bytes::copy_from_slice(arg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_secrets_are_not() {
        let mut log = SlowLog::default();
        log.set_most(2);
        let slow = Duration::from_millis(20);
        log.note(1, Duration::from_millis(9), &[b"GET", b"fast"]);
        for key in [&b"one"[..], b"two", b"three"] {
            log.note(1, slow, &[b"GET", key]);
        }
        log.note(2, slow, &[b"ACL", b"SETUSER", b"ann", b">secret"]);
        let shown: Vec<_> = log.newest(10).map(|e| (e.id, e.args.join(&b' '))).collect();
        assert_eq!(shown[0], (3, b"ACL SETUSER (redacted) (redacted)".to_vec()));
        assert_eq!(shown[1], (2, b"GET three".to_vec()));
        assert_eq!(shown.len(), 2);
    }

    #[test]
    fn long_calls_are_shortened() {
        let mut args: Vec<&[u8]> = vec![b"DEL"; 40];
        let long = [b'x'; 200];
        args[1] = &long;
        let kept = shortened(&args);
        assert_eq!(kept.len(), 32);
        assert_eq!(kept[31], "... (9 more arguments)");
        assert!(kept[1].ends_with(b"x... (72 more bytes)"));
    }
}

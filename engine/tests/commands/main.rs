//! Behaviour of command groups, told as commands and the replies they must get.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

mod arrays;
mod encodings;
mod expiry;
mod hashes;
mod keys;
mod lists;
mod memory;
mod producers;
mod pubsub;
mod sets;
mod snapshots;
mod sorted_sets;
mod strings;
mod transactions;
mod vectors;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use restis_engine::{Clock, Engine, Options, Reply};

/// An engine whose time stands still until it is moved.
struct Fixture {
    engine: Engine,
    now: Arc<AtomicU64>,
}

/// When the fixture's time starts.
const START: u64 = 1_700_000_000_000;

impl Fixture {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let now = Arc::new(AtomicU64::new(START));
        let options = options.clock(Clock::manual(Arc::clone(&now)));
        Self {
            engine: Engine::new(options),
            now,
        }
    }

    fn pass(&self, millis: u64) {
        self.now.fetch_add(millis, Ordering::Relaxed);
    }

    /// Runs a command written as words and shows its reply.
    fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        show(&self.engine.call(&words))
    }

    /// Runs commands and compares their replies; elements of unordered replies are sorted with `~`.
    fn expect(&self, script: &[(&str, &str)]) {
        for (line, wanted) in script {
            let (line, sorted) = match line.strip_prefix('~') {
                Some(rest) => (rest, true),
                None => (*line, false),
            };
            let words: Vec<&str> = line.split(' ').collect();
            let mut reply = self.engine.call(&words);
            if let (true, Reply::Array(items)) = (sorted, &mut reply) {
                items.sort_by_key(show);
            }
            assert_eq!(show(&reply), *wanted, "{line}");
        }
    }
}

/// A reply as text: `nil`, `5`, `text`, `+OK`, `-ERR …`, `[a b]`.
fn show(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::NilArray => "nil[]".to_owned(),
        Reply::Int(value) => value.to_string(),
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Simple(text) => format!("+{text}"),
        Reply::Error(error) => format!("-{}", error.message()),
        Reply::Array(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
    }
}

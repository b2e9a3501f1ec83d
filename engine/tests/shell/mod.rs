//! Runs command lines on an engine and shows replies as one line, so that tests read like a console.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use restis_engine::{Clock, Engine, Options, Reply};

pub(crate) struct Shell {
    engine: Engine,
    now: Arc<AtomicU64>,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let now = Arc::new(AtomicU64::new(1_000_000));
        Self {
            engine: Engine::new(Options::default().clock(Clock::manual(Arc::clone(&now)))),
            now,
        }
    }

    /// Lets time pass.
    #[allow(dead_code, reason = "not every test file needs time")]
    pub(crate) fn wait_ms(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    /// A shell on a copy, made by saving and loading.
    #[allow(dead_code, reason = "not every test file saves")]
    pub(crate) fn reloaded(&self) -> Self {
        let mut saved = Vec::new();
        let copy = Self::new();
        let done =
            self.engine.save(&mut saved).is_ok() && copy.engine.load(&mut &saved[..]).is_ok();
        assert!(done, "saved and loaded");
        copy
    }

    /// The reply to a command line; words may be in single quotes.
    pub(crate) fn run(&self, line: &str) -> String {
        let mut out = String::new();
        show(&self.engine.call(&words(line)), &mut out);
        out
    }

    /// Runs lines of the form `command => reply`; every reply must be as written.
    pub(crate) fn script(&self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(" => ") {
                Some((command, reply)) => assert_eq!(self.run(command), reply.trim(), "{command}"),
                None => assert!(
                    !self.run(line).starts_with('-'),
                    "{line}: {}",
                    self.run(line)
                ),
            }
        }
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, tail) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = tail.trim_start();
    }
    words
}

fn show(reply: &Reply, out: &mut String) {
    match reply {
        Reply::Nil => out.push_str("nil"),
        Reply::NilArray => out.push_str("nil[]"),
        Reply::Int(n) => {
            let _ = write!(out, ":{n}");
        }
        Reply::Bulk(bytes) => {
            let _ = write!(
                out,
                "{}",
                bytes.escape_ascii().to_string().replace("\\\"", "\"")
            );
        }
        Reply::Simple(text) => {
            let _ = write!(out, "+{text}");
        }
        Reply::Error(error) => {
            let _ = write!(out, "-{error}");
        }
        Reply::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                show(item, out);
            }
            out.push(']');
        }
    }
}

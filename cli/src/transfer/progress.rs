//! How far it is, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(500);

/// Shows how much is done, how fast, and how long the rest takes.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    terminal: bool,
    what: &'static str,
    /// Of what unit `done` and `total` are.
    total: Option<u64>,
    start: Instant,
    last: Instant,
    keys: u64,
}

impl Progress {
    pub(crate) fn new(what: &'static str, forced: bool, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        Self {
            shown: terminal || forced,
            terminal,
            what,
            total: total.filter(|total| *total > 0),
            start: now,
            last: now,
            keys: 0,
        }
    }

    /// So many keys are through, and so much of the total.
    pub(crate) fn at(&mut self, keys: u64, done: u64) {
        self.keys = keys;
        if self.shown && self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            self.show(done);
        }
    }

    fn show(&self, done: u64) {
        let seconds = self.start.elapsed().as_secs_f64().max(0.001);
        let rate = self.keys as f64 / seconds;
        let mut line = format!("{}: {} keys, {rate:.0}/s", self.what, self.keys);
        if let Some(total) = self.total.filter(|_| done > 0) {
            let part = (done as f64 / total as f64).min(1.0);
            let left = seconds * (1.0 - part) / part.max(0.0001);
            line.push_str(&format!(", {:.0} %, {} left", part * 100.0, time(left)));
        }
        self.write(&line);
    }

    fn write(&self, line: &str) {
        let mut out = std::io::stderr().lock();
        let _ = match self.terminal {
            true => write!(out, "\r\x1b[K{line}"),
            false => writeln!(out, "{line}"),
        };
        let _ = out.flush();
    }

    /// Ends the line.
    pub(crate) fn end(&self) {
        if self.shown && self.terminal {
            self.write("");
        }
    }
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round().max(0.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

//! What the checks found: shown as they run, and as JSON.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Passed,
    /// It works, and may not be meant.
    Warning,
    Failed,
    /// It cannot be told here.
    Skipped,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What a failure means for the program that started the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Other = 1,
    Unreachable = 4,
    Refused = 5,
    Limited = 6,
}

/// The outcome of one check.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) state: State,
    pub(super) detail: String,
    /// What to do, unless it passed.
    pub(super) remedy: Option<String>,
    pub(super) class: Class,
    /// Further lines, such as a plot.
    pub(super) lines: Vec<String>,
    /// The same as numbers.
    pub(super) data: Value,
}

impl Outcome {
    fn new(state: State, detail: impl Into<String>, remedy: Option<String>) -> Self {
        Self {
            state,
            detail: detail.into(),
            remedy,
            class: Class::Other,
            lines: Vec::new(),
            data: Value::Null,
        }
    }

    pub(super) fn passed(detail: impl Into<String>) -> Self {
        Self::new(State::Passed, detail, None)
    }

    pub(super) fn skipped(detail: impl Into<String>) -> Self {
        Self::new(State::Skipped, detail, None)
    }

    pub(super) fn warning(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(State::Warning, detail, Some(remedy.into()))
    }

    pub(super) fn failed(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(State::Failed, detail, Some(remedy.into()))
    }

    pub(super) fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    pub(super) fn is_failed(&self) -> bool {
        self.state == State::Failed
    }
}

/// The checks of one run.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    terminal: bool,
    colours: bool,
    checks: Vec<Value>,
    failures: usize,
    warnings: usize,
    /// Of the first failure: what follows may follow from it.
    class: Option<Class>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && !json;
        Self {
            json,
            terminal,
            colours: terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
            checks: Vec::new(),
            failures: 0,
            warnings: 0,
            class: None,
        }
    }

    /// Runs a check and shows it; whether it did not fail.
    pub(super) async fn check(&mut self, name: &str, check: impl Future<Output = Outcome>) -> bool {
        if self.terminal {
            write(&format!("  …       {name}"));
        }
        let start = Instant::now();
        let outcome = check.await;
        self.add(name, &outcome, start.elapsed());
        !outcome.is_failed()
    }

    fn add(&mut self, name: &str, outcome: &Outcome, took: Duration) {
        match outcome.state {
            State::Failed => {
                self.failures += 1;
                self.class = self.class.or(Some(outcome.class));
            }
            State::Warning => self.warnings += 1,
            State::Passed | State::Skipped => {}
        }
        let ms = took.as_secs_f64() * 1000.0;
        let ms = (ms * 100.0).round() / 100.0;
        self.checks.push(json!({
            "name": name,
            "state": outcome.state.word(),
            "detail": outcome.detail,
            "remedy": outcome.remedy,
            "ms": ms,
            "data": outcome.data,
        }));
        if self.json {
            return;
        }
        let state = self.paint(outcome.state);
        let mut text = if self.terminal { "\r\x1b[K" } else { "" }.to_owned();
        text.push_str(&format!("  {state} {name}: {}\n", outcome.detail));
        for line in &outcome.lines {
            text.push_str(&format!("            {line}\n"));
        }
        if let Some(remedy) = &outcome.remedy {
            text.push_str(&format!("            → {remedy}\n"));
        }
        write(&text);
    }

    /// The state, as wide as the widest.
    fn paint(&self, state: State) -> String {
        let word = format!("{:<7}", state.word());
        let code = match state {
            State::Passed => "32",
            State::Warning => "33",
            State::Failed => "31",
            State::Skipped => "2",
        };
        match self.colours {
            true => format!("\x1b[{code}m{word}\x1b[0m"),
            false => word,
        }
    }

    /// A heading.
    pub(super) fn heading(&mut self, text: &str) {
        if !self.json {
            write(&format!("{text}\n"));
        }
    }

    /// Ends the report; the exit code.
    pub(super) fn end(self, target: &str) -> u8 {
        let code = self.class.map_or(0, |class| class as u8);
        if self.json {
            let json = json!({
                "target": target,
                "ok": code == 0,
                "exit_code": code,
                "failures": self.failures,
                "warnings": self.warnings,
                "checks": self.checks,
            });
            write(&format!("{json:#}\n"));
            return code;
        }
        let passed = self
            .checks
            .iter()
            .filter(|check| check["state"] == "ok")
            .count();
        write(&format!(
            "\n{passed} passed, {} warnings, {} failed\n",
            self.warnings, self.failures
        ));
        code
    }
}

/// A closed standard output is no reason not to clean up.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

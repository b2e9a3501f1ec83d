//! Instructions of the client for each command, counted by callgrind: the same on every run.

use std::process::{Command, Stdio};

use clap::ValueEnum as _;

use crate::contest::say;
use crate::failure::Failure;
use crate::ours::{Ours, Work};
use crate::store::Store;

/// Turns of the shorter and the longer run: what both do once cancels out.
const TURNS: [u32; 2] = [10, 60];

pub(crate) fn run() -> Result<(), Failure> {
    let mut probe = Command::new("valgrind");
    probe.arg("--version").stdout(Stdio::null());
    if probe.stderr(Stdio::null()).status().is_err() {
        return say("valgrind is not installed: apt install valgrind\n");
    }
    let store = Store::start()?;
    say("\nprocessor instructions a command, in the client's process alone\n")?;
    for work in [
        Work::Sequential,
        Work::Merged,
        Work::Pipeline,
        Work::Decisions,
    ] {
        let [few, many] = TURNS;
        let more = count(&store, work, many)?.saturating_sub(count(&store, work, few)?);
        let each = more as f64 / (u64::from(many - few) * work.commands()) as f64;
        let name = match work {
            Work::Sequential => "one GET after another",
            Work::Merged => "64 concurrent GETs, merged",
            Work::Pipeline => "pipeline of 100 GETs",
            Work::Decisions => "64 concurrent rate limit decisions",
        };
        say(&format!("  {name:<34}{each:>12.0}\n"))?;
    }
    Ok(())
}

/// Instructions of a process that does so many turns.
fn count(store: &Store, work: Work, turns: u32) -> Result<u64, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("valgrind failed: {error}"));
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let work = work.to_possible_value();
    let work = work.as_ref().map_or("", |value| value.get_name());
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["load", work, store.url(), &turns.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match collected(&text) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(failed(&text.lines().last().unwrap_or("it printed nothing"))),
    }
}

fn collected(text: &str) -> Option<u64> {
    let rest = text.split("Collected : ").nth(1)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// What runs under callgrind.
pub(crate) fn load(work: Work, url: &str, turns: u32) -> Result<(), Failure> {
    Ours::new(url)?.turns(work, turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read() {
        let text = "==7== Events    : Ir\n==7== Collected : 143237645\n==7== \n";
        assert_eq!(collected(text), Some(143_237_645));
        assert_eq!(collected("valgrind: no such file"), None);
    }
}

//! `restis check --watch`: tells which alerts fire and clear, until it is ended.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use restis::clock::{Clock as _, SystemClock};
use restis::config::Builder;
use restis::metrics::alerts::{AlertState, AlertStatus};
use restis_handlers::{AppState, Config, evaluate_alerts};
use serde_json::json;

use super::CheckArgs;
use crate::failure::Failure;

/// The exit code when an alert fires at the end.
const FIRING: u8 = 1;

/// Evaluates the alerts every so often; the exit code tells whether one fires at the end.
pub(super) fn run(args: &CheckArgs, builder: Builder, every: f64) -> Result<ExitCode, Failure> {
    let mut config = Config::from_env().map_err(Failure::usage)?;
    // What this process measures is what counts here.
    config.metrics_flush = None;
    // Each evaluation asks once: one that fails is one failed connection.
    let redis = builder
        .max_retries(0)
        .breaker_failures(0)
        .build()
        .map_err(Failure::usage)?;
    let state = AppState::builder(redis).config(config).build();
    let state = state.map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))?;
    let mut watch = Watch::default();
    runtime.block_on(async {
        tokio::select! {
            () = watch.evaluate(&state, args, Duration::from_secs_f64(every)) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    match watch.firing.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::from(FIRING)),
    }
}

/// What was told so far.
#[derive(Debug, Default)]
struct Watch {
    /// Names of the alerts that fire.
    firing: BTreeSet<&'static str>,
}

impl Watch {
    async fn evaluate(&mut self, state: &AppState, args: &CheckArgs, every: Duration) {
        let mut left = args.count;
        loop {
            match evaluate_alerts(state).await {
                Ok(states) => {
                    let now_ms = SystemClock::new().now_ms();
                    let changes = self.changes(&states).into_iter();
                    let text: String = changes
                        .map(|(state, fires)| line(state, fires, now_ms, args.json))
                        .collect();
                    let mut out = std::io::stdout().lock();
                    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                    // Whoever reads has seen enough.
                    if written.is_err() {
                        return;
                    }
                }
                Err(problem) => {
                    let _ = writeln!(std::io::stderr(), "restis: {problem}");
                }
            }
            left = left.map(|left| left - 1);
            if left == Some(0) {
                return;
            }
            tokio::time::sleep(every).await;
        }
    }

    /// The alerts that began or ended to fire. One that is not told any more does neither.
    fn changes<'s>(&mut self, states: &'s [AlertState]) -> Vec<(&'s AlertState, bool)> {
        let changed = states.iter().filter_map(|state| {
            let name = state.alert.name;
            let changed = match state.status {
                AlertStatus::Firing => self.firing.insert(name).then_some(true),
                AlertStatus::Unknown => None,
                _ => self.firing.remove(name).then_some(false),
            };
            changed.map(|fires| (state, fires))
        });
        changed.collect()
    }
}

/// What is printed of a change.
fn line(state: &AlertState, fires: bool, now_ms: u64, as_json: bool) -> String {
    let alert = state.alert;
    let (severity, summary) = (alert.severity.as_str(), alert.summary);
    if as_json {
        let json = json!({
            "at_ms": now_ms,
            "alert": alert.name,
            "severity": severity,
            "status": if fires { "fired" } else { "cleared" },
            "value": state.value,
            "threshold": alert.bad.threshold(),
            "summary": summary,
            "remedy": alert.remedy,
        });
        return format!("{json}\n");
    }
    let seconds = now_ms / 1000 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let at = format!("{hours:02}:{minutes:02}:{seconds:02}");
    let name = alert.name;
    if !fires {
        return format!("  {at}  clears  {severity} {name}\n");
    }
    let value = state.value.map_or(String::new(), |value| {
        format!(" ({value:.2}, threshold {})", alert.bad.threshold())
    });
    let remedy = alert.remedy;
    format!("  {at}  fires   {severity} {name}: {summary}{value}\n            → {remedy}\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use restis::metrics::Families;
    use restis::metrics::alerts::{AlertMemory, evaluate};

    /// The store's memory, in percent, as INFO tells it.
    fn families(percent: f64) -> Families {
        Families::default().with_store(|field| match field {
            "used_memory" => Some(percent),
            "maxmemory" => Some(100.0),
            _ => None,
        })
    }

    #[test]
    fn an_alert_is_told_when_it_fires_and_when_it_clears_and_not_between() {
        let mut watch = Watch::default();
        let mut memory = AlertMemory::default();
        let mut told = Vec::new();
        let minute = 60_000;
        for (at, percent) in [95.0, 95.0, 85.0, 85.0, 10.0, 10.0].into_iter().enumerate() {
            let now_ms = minute * 5 * (at as u64 + 1);
            let states = evaluate(&families(percent), &mut memory, now_ms);
            for (state, fires) in watch.changes(&states) {
                told.push((at, state.alert.name, fires));
            }
        }
        let (full, high) = ("RestisMemoryAlmostFull", "RestisMemoryHigh");
        let expected = [
            (1, full, true),
            (1, high, true),
            (2, full, false),
            (4, high, false),
        ];
        assert_eq!(told, expected);
        assert!(watch.firing.is_empty());
    }

    #[test]
    fn a_change_is_one_line_with_its_remedy_below() {
        let mut memory = AlertMemory::default();
        evaluate(&families(95.0), &mut memory, 1);
        let states = evaluate(&families(95.0), &mut memory, 300_001);
        let full = states
            .iter()
            .find(|s| s.alert.name == "RestisMemoryAlmostFull");
        let text = line(full.unwrap(), true, 3_661_000, false);
        let first = "  01:01:01  fires   critical RestisMemoryAlmostFull: the store uses more than \
                     90 % of its memory (0.95, threshold 0.9)\n";
        assert!(text.starts_with(first), "{text}");
        assert_eq!(text.lines().count(), 2);
        let json: serde_json::Value =
            serde_json::from_str(&line(full.unwrap(), false, 7, true)).unwrap();
        assert_eq!(json["status"], "cleared");
        assert_eq!(json["threshold"], 0.9);
    }
}

//! How long commands take: one after another, merged, and in a pipeline.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use restis::prelude::*;
use serde_json::json;

use super::diagnose;
use super::report::{Outcome, State};

/// The thresholds of the 95th percentile.
const WARN: Duration = Duration::from_millis(500);
const FAIL: Duration = Duration::from_secs(1);
/// The median above which the distance is told.
const FAR: Duration = Duration::from_millis(100);

/// Times in ascending order.
struct Times(Vec<Duration>);

impl Times {
    /// The smallest time that this part of all times does not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(rank).copied().unwrap_or_default()
    }

    /// A bar for each step of a scale that doubles.
    fn plot(&self) -> Vec<String> {
        let step = |time: &Duration| {
            let us = time.as_micros().max(1);
            us.ilog2()
        };
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return Vec::new();
        };
        let most = |at: u32| self.0.iter().filter(|time| step(time) == at).count();
        let highest = (step(first)..=step(last)).map(most).max().unwrap_or(1);
        let bars = (step(first)..=step(last)).map(|at| {
            let count = most(at);
            let width = (count * 32).div_ceil(highest);
            let below = Duration::from_micros(1 << (at + 1));
            format!("< {:>8} {:<32} {count}", ms(below), "█".repeat(width))
        });
        bars.map(|bar| bar.trim_end().to_owned()).collect()
    }
}

/// A time in milliseconds, as people read it.
pub(super) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

/// Commands one after another: what a caller waits for.
pub(super) async fn one_by_one(redis: &Redis, requests: usize) -> Outcome {
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let start = Instant::now();
        if let Err(error) = redis.ping().await {
            return diagnose::outcome(&error);
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let times = Times(times);
    let (p50, p95, p99) = (
        times.percentile(50),
        times.percentile(95),
        times.percentile(99),
    );
    let detail = format!(
        "p50 {}, p95 {}, p99 {} over {requests} commands",
        ms(p50),
        ms(p95),
        ms(p99)
    );
    let slow = "compare with the other two: if they are fast the distance is the cause (move the \
                function or the database into one region, add a read replica there); else look at \
                the server's CPU, memory and SLOWLOG";
    let mut outcome = if p95 > FAIL {
        Outcome::failed(detail, slow)
    } else if p95 > WARN || p50 > FAR {
        Outcome::warning(detail, slow)
    } else {
        Outcome::passed(detail)
    };
    outcome.lines = times.plot();
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    outcome.data = json!({ "p50_us": micros(p50), "p95_us": micros(p95), "p99_us": micros(p99) });
    outcome
}

/// Commands that are awaited together and leave in one request.
pub(super) async fn merged(redis: &Redis, commands: usize) -> Outcome {
    let start = Instant::now();
    let replies = join_all((0..commands).map(|_| async { redis.ping().await })).await;
    let took = start.elapsed();
    match replies.into_iter().find_map(Result::err) {
        Some(error) => diagnose::outcome(&error),
        None => each("commands awaited together", commands, took),
    }
}

/// Commands of one pipeline.
pub(super) async fn pipeline(redis: &Redis, commands: usize) -> Outcome {
    let mut pipeline = redis.pipeline();
    for _ in 0..commands {
        let _ = pipeline.ping();
    }
    let start = Instant::now();
    let sent = pipeline.exec().await;
    let took = start.elapsed();
    match sent {
        Ok(_) => each("commands of a pipeline", commands, took),
        Err(error) => diagnose::outcome(&error),
    }
}

fn each(what: &str, commands: usize, took: Duration) -> Outcome {
    let one = took / u32::try_from(commands).unwrap_or(u32::MAX).max(1);
    let detail = format!("{commands} {what} in {}, {} each", ms(took), ms(one));
    let mut outcome = Outcome::passed(detail);
    outcome.state = State::Passed;
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    outcome.data = json!({ "commands": commands, "us": micros });
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_time_of_its_rank() {
        let times = Times((1..=100).map(Duration::from_millis).collect());
        for (percent, ms) in [(50, 50), (95, 95), (99, 99), (100, 100)] {
            assert_eq!(times.percentile(percent), Duration::from_millis(ms));
        }
        let one = Times(vec![Duration::from_millis(7)]);
        assert_eq!(one.percentile(50), Duration::from_millis(7));
        assert_eq!(Times(Vec::new()).percentile(99), Duration::ZERO);
    }

    #[test]
    fn every_time_is_in_the_plot_once() {
        let times = Times([1, 1, 1, 2, 9].map(Duration::from_millis).to_vec());
        let plot = times.plot();
        let counts: Vec<&str> = plot.iter().filter_map(|l| l.rsplit(' ').next()).collect();
        assert_eq!(
            counts
                .iter()
                .map(|c| c.parse::<usize>().unwrap_or(0))
                .sum::<usize>(),
            5
        );
        assert!(
            plot.iter().all(|line| line.chars().count() <= 66),
            "{plot:?}"
        );
    }
}

//! Sides that take turns, and the table of who was how fast.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::args::Schedule;
use crate::failure::Failure;

/// Measures for about so long; operations a second.
type Measure<'a> = Box<dyn FnMut(Duration) -> Result<f64, Failure> + 'a>;

/// One side of a comparison.
pub(crate) struct Side<'a> {
    name: String,
    measure: Measure<'a>,
    /// The ratio that is asked of us against it.
    bar: Option<f64>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        measure: impl FnMut(Duration) -> Result<f64, Failure> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            measure: Box::new(measure),
            bar: None,
        }
    }

    /// Names the ratio that our figure should reach against this one.
    pub(crate) fn bar(mut self, ratio: f64) -> Self {
        self.bar = Some(ratio);
        self
    }
}

/// Operations a second of a loop that does `step` operations a turn.
pub(crate) fn rate(time: Duration, step: u64, mut turn: impl FnMut()) -> f64 {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        turn();
        done += step;
        let passed = start.elapsed();
        if passed >= time {
            return done as f64 / passed.as_secs_f64();
        }
    }
}

/// Lets all sides take turns, so that a slow moment of the machine meets each; prints medians.
///
/// The first side is ours.
pub(crate) fn contest(
    title: &str,
    Schedule { rounds, turn }: Schedule,
    mut sides: Vec<Side<'_>>,
) -> Result<(), Failure> {
    let mut figures = vec![Vec::new(); sides.len()];
    for side in &mut sides {
        (side.measure)(turn / 4)?;
    }
    for _ in 0..rounds {
        for (side, figures) in sides.iter_mut().zip(&mut figures) {
            figures.push((side.measure)(turn)?);
        }
    }
    let medians: Vec<f64> = figures.iter_mut().map(|all| median(all)).collect();
    let ours = medians.first().copied().unwrap_or_default();
    let mut text = format!("\n{title}\n");
    for (at, (side, theirs)) in sides.iter().zip(&medians).enumerate() {
        text += &format!("  {:<34}{theirs:>12.0} /s", side.name);
        if at > 0 {
            text += &format!("   ratio {:>6.2}", ours / theirs);
        }
        if let Some(bar) = side.bar {
            text += &format!("   wanted {bar:.2}");
        }
        text += "\n";
    }
    say(&text)
}

pub(crate) fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    match all {
        [] => 0.0,
        _ if all.len() % 2 == 1 => all[all.len() / 2],
        _ => f64::midpoint(all[all.len() / 2 - 1], all[all.len() / 2]),
    }
}

/// Prints at once.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(format!("cannot print: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_slow_round() {
        assert_eq!(median(&mut [9.0, 1.0, 10.0]), 9.0);
        assert_eq!(median(&mut [8.0, 1.0, 10.0, 9.0]), 8.5);
        assert_eq!(median(&mut []), 0.0);
    }

    #[test]
    fn a_side_that_fails_ends_the_contest() {
        let fails = Side::new("peer", |_| Err(Failure::new("gone")));
        let ours = Side::new("ours", |_| Ok(1.0));
        let once = Schedule {
            rounds: 1,
            turn: Duration::ZERO,
        };
        assert!(contest("title", once, vec![ours, fails]).is_err());
    }
}

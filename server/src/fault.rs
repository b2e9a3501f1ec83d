//! Injected faults, to test how clients cope.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Faults to inject: latency, error answers, dropped connections, panics.
///
/// Written as `latency=50ms,error=2%,drop=1%,seed=7`; `latency` also takes a
/// range (`20ms..80ms`). A drop closes the connection without an answer, half of
/// them before the command runs and half after; `drop-before` and `drop-after` choose one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    latency: Option<(Duration, Duration)>,
    error: f64,
    drop_before: f64,
    drop_after: f64,
    panic: f64,
    seed: u64,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) delay: Option<Duration>,
    pub(crate) error: bool,
    /// The server's own code fails in the middle of a command.
    pub(crate) panic: bool,
    pub(crate) drop_before: bool,
    pub(crate) drop_after: bool,
}

impl FromStr for FaultPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        for part in text.split(',').map(str::trim) {
            if part.is_empty() || part == "off" {
                continue;
            }
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("fault `{part}` is not of the form name=value"))?;
            match key.trim() {
                "latency" => plan.latency = Some(range(value)?),
                "error" => plan.error = share(value)?,
                "drop" => {
                    let half = share(value)? / 2.0;
                    (plan.drop_before, plan.drop_after) = (half, half);
                }
                "panic" => plan.panic = share(value)?,
                "drop-before" => plan.drop_before = share(value)?,
                "drop-after" => plan.drop_after = share(value)?,
                "seed" => {
                    plan.seed = value
                        .trim()
                        .parse()
                        .map_err(|_| format!("seed `{value}` is not a whole number"))?;
                }
                other => {
                    return Err(format!(
                        "unknown fault `{other}`; known: latency, error, panic, drop, drop-before, drop-after, seed"
                    ));
                }
            }
        }
        Ok(plan)
    }
}

impl FaultPlan {
    /// Whether it injects nothing.
    pub fn is_off(&self) -> bool {
        let shares = self.error + self.panic + self.drop_before + self.drop_after;
        let slow = self.latency.is_some_and(|(_, high)| !high.is_zero());
        shares == 0.0 && !slow
    }

    /// The fate of request number `n`; the same for the same seed and number.
    pub(crate) fn roll(&self, n: u64) -> Fault {
        let random = |salt: u64| unit(mix(self.seed ^ salt.rotate_left(32) ^ mix(n)));
        let delay = self
            .latency
            .map(|(low, high)| low + high.saturating_sub(low).mul_f64(random(1)));
        let fate = random(2);
        let before = self.drop_before;
        let after = before + self.drop_after;
        let error = after + self.error;
        Fault {
            delay: delay.filter(|delay| !delay.is_zero()),
            drop_before: fate < before,
            drop_after: (before..after).contains(&fate),
            error: (after..error).contains(&fate),
            panic: (error..error + self.panic).contains(&fate),
        }
    }
}

/// The form that [`FaultPlan::from_str`] reads.
impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some((low, high)) = self.latency {
            let [low, high] = [low, high].map(|time| time.as_secs_f64() * 1000.0);
            parts.push(format!("latency={low}ms..{high}ms"));
        }
        for (name, share) in [
            ("error", self.error),
            ("panic", self.panic),
            ("drop-before", self.drop_before),
            ("drop-after", self.drop_after),
        ] {
            if share > 0.0 {
                parts.push(format!("{name}={share}"));
            }
        }
        if parts.is_empty() {
            return f.write_str("off");
        }
        if self.seed != 0 {
            parts.push(format!("seed={}", self.seed));
        }
        f.write_str(&parts.join(","))
    }
}

/// Numbers the requests of a server and decides their fate.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Whether requests may ask for faults while no plan is on.
    takes_header: bool,
    is_on: AtomicBool,
    plan: RwLock<FaultPlan>,
    next: AtomicU64,
}

impl Faults {
    pub(crate) fn new(plan: Option<FaultPlan>) -> Self {
        let takes_header = plan.is_some();
        let faults = Self {
            takes_header,
            is_on: AtomicBool::new(false),
            plan: RwLock::default(),
            next: AtomicU64::new(0),
        };
        faults.replace(plan.unwrap_or_default());
        faults
    }

    pub(crate) fn plan(&self) -> FaultPlan {
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner);
        plan.clone()
    }

    pub(crate) fn replace(&self, plan: FaultPlan) {
        let is_on = !plan.is_off();
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// The fate of the next request; its own header goes before the server's plan.
    pub(crate) fn next(&self, header: Option<&str>) -> Result<Fault, String> {
        let is_on = self.is_on.load(Ordering::Relaxed);
        if !is_on && !self.takes_header {
            return Ok(Fault::default());
        }
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        match header {
            Some(text) => Ok(text.parse::<FaultPlan>()?.roll(n)),
            None if is_on => {
                let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner);
                Ok(plan.roll(n))
            }
            None => Ok(Fault::default()),
        }
    }
}

fn range(text: &str) -> Result<(Duration, Duration), String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (duration(low)?, duration(high)?);
    if low > high {
        return Err(format!("latency `{text}` runs backwards"));
    }
    Ok((low, high))
}

/// Parses `250ms`, `1.5s` or `0`.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let bad = || format!("`{text}` is not a duration such as 50ms or 1.5s (at most 10 minutes)");
    if number == text && text != "0" {
        return Err(bad());
    }
    let seconds: f64 = number.trim().parse().map_err(|_| bad())?;
    let seconds = seconds * unit;
    if !(0.0..=600.0).contains(&seconds) {
        return Err(bad());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Parses `2%` or `0.02`.
fn share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|share| share * scale);
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is not a share such as 2% or 0.02")),
    }
}

/// A strong 64-bit mixer (the finaliser of SplitMix64).
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn unit(n: u64) -> f64 {
    (n >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn shares_are_kept_and_reproducible() {
        let plan: FaultPlan = "latency=20ms..80ms,error=20%,drop=10%,seed=7"
            .parse()
            .unwrap();
        let rolls: Vec<Fault> = (0..20_000).map(|n| plan.roll(n)).collect();
        let again: Vec<Fault> = (0..20_000).map(|n| plan.roll(n)).collect();
        assert_eq!(rolls, again);
        let count = |f: fn(&Fault) -> bool| rolls.iter().filter(|fault| f(fault)).count();
        assert!((3700..4300).contains(&count(|fault| fault.error)));
        assert!((800..1200).contains(&count(|fault| fault.drop_before)));
        assert!((800..1200).contains(&count(|fault| fault.drop_after)));
        let bounds = Duration::from_millis(20)..=Duration::from_millis(80);
        assert!(
            rolls
                .iter()
                .all(|fault| bounds.contains(&fault.delay.unwrap()))
        );
    }

    #[test]
    fn seeds_differ() {
        let fates = |seed: u64| -> Vec<bool> {
            let plan: FaultPlan = format!("error=50%,seed={seed}").parse().unwrap();
            (0..64).map(|n| plan.roll(n).error).collect()
        };
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn a_plan_is_replaced_while_requests_come() {
        let faults = Faults::new(None);
        assert_eq!(faults.next(Some("error=100%")), Ok(Fault::default()));
        faults.replace("error=100%".parse().unwrap());
        assert!(faults.next(None).unwrap().error);
        assert!(!faults.next(Some("off")).unwrap().error);
        faults.replace(FaultPlan::default());
        assert_eq!(faults.next(None), Ok(Fault::default()));
    }

    #[test]
    fn a_plan_is_written_as_it_is_read() {
        for text in [
            "latency=20ms..80ms,error=25%,drop=10%,seed=7",
            "panic=1",
            "off",
        ] {
            let plan: FaultPlan = text.parse().unwrap();
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
        assert_eq!("seed=7".parse::<FaultPlan>().unwrap().to_string(), "off");
    }

    #[test]
    fn mistakes_are_explained() {
        for text in [
            "latency=50",
            "error=200%",
            "boom=1%",
            "drop",
            "latency=9s..1s",
            "seed=x",
        ] {
            assert!(text.parse::<FaultPlan>().is_err(), "{text}");
        }
        assert_eq!(
            "off".parse::<FaultPlan>().unwrap().roll(1),
            Fault::default()
        );
    }
}

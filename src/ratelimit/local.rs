//! Limits in this process, for the time without a store.

use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;

use super::{
    decision::LimitState,
    generations::Generations,
    limit::{Kind, Limit},
    limiter::KeyParts,
};

/// The same limits as the store's, counted here: bounded, and forgotten with the process.
#[derive(Debug)]
pub(super) struct Local(Mutex<Generations<SmallVec<[Cell; 1]>>>);

/// What one limit has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cell {
    /// Fixed window and period: the end. Sliding window: its number. Bucket: the last refill. GCRA: now.
    mark: f64,
    /// Windows: what was taken. Bucket: what is missing. GCRA: the same, in 1/amount ms.
    used: f64,
    /// Sliding window: what was taken in the one before.
    before: f64,
}

/// What a limit says to a cost.
struct Judged {
    left: u64,
    reset_ms: u64,
    /// When the cost fits; `None` for never.
    retry_at_ms: Option<u64>,
}

/// An outcome like the store's.
pub(super) struct Outcome {
    pub(super) allowed: bool,
    pub(super) taken: u64,
    pub(super) retry_at_ms: Option<u64>,
    pub(super) states: SmallVec<[LimitState; 1]>,
}

impl Local {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(Generations::new(capacity)))
    }

    /// Takes the cost, or what there is up to the most, from all limits or from none.
    pub(super) fn take(
        &self,
        limits: &[Limit],
        parts: KeyParts<'_>,
        (cost, most): (u64, u64),
        now: u64,
    ) -> Outcome {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cells: SmallVec<[Cell; 1]> = SmallVec::with_capacity(limits.len());
        for (at, limit) in limits.iter().enumerate() {
            let start = || smallvec::smallvec![Cell::default(); limits.len()];
            let own = known.get_or_insert(parts.of(limit), start).get(at).copied();
            cells.push(own.unwrap_or_default());
        }
        let mut judged: SmallVec<[Judged; 1]> = limits
            .iter()
            .zip(cells.iter_mut())
            .map(|(limit, cell)| cell.judge(limit, cost, now))
            .collect();
        let allowed = judged.iter().all(|j| j.left >= cost);
        let room = judged.iter().map(|j| j.left).min().unwrap_or(0);
        let taken = if allowed { room.min(most) } else { 0 };
        let each = limits.iter().zip(cells.iter_mut()).zip(&mut judged);
        for (at, ((limit, cell), judged)) in each.enumerate() {
            if allowed {
                cell.take(limit, taken);
            }
            if allowed && limit.kind == Kind::Gcra {
                judged.reset_ms = cell.full_at(limit) as u64;
            }
            let own = known.get(parts.of(limit)).and_then(|own| own.get_mut(at));
            if let Some(own) = own {
                *own = *cell;
            }
        }
        let states = limits.iter().zip(&judged).map(|(limit, j)| LimitState {
            limit: limit.amount(),
            remaining: j.left - taken,
            reset_ms: j.reset_ms,
            exceeded: j.left < cost,
        });
        let refused = judged.iter().filter(|j| j.left < cost);
        let retries: Option<Vec<u64>> = refused.map(|j| j.retry_at_ms).collect();
        Outcome {
            allowed,
            taken,
            retry_at_ms: retries.and_then(|all| all.into_iter().max()),
            states: states.collect(),
        }
    }
}

impl Cell {
    /// Moves to the present and says what is left.
    fn judge(&mut self, limit: &Limit, cost: u64, now: u64) -> Judged {
        let (at, wanted) = (now as f64, cost as f64);
        let (left, reset, retry) = match limit.kind {
            Kind::Fixed => {
                let window = limit.window_ms as f64;
                self.fixed(limit, ((at / window).floor() + 1.0) * window)
            }
            Kind::Calendar(calendar) => self.fixed(limit, calendar.period(now).1 as f64),
            Kind::Sliding => self.sliding(limit, wanted, at),
            Kind::Bucket => self.bucket(limit, wanted, at),
            Kind::Gcra => self.gcra(limit, wanted, at),
        };
        Judged {
            left: left.max(0.0) as u64,
            reset_ms: reset as u64,
            retry_at_ms: (cost <= limit.amount()).then_some(retry as u64),
        }
    }

    /// Fixed window, and period of the calendar (`fixed.lua`): what is left, when it resets, when a
    /// cost fits.
    fn fixed(&mut self, limit: &Limit, end: f64) -> (f64, f64, f64) {
        (limit.amount as f64 - self.used_until(end), end, end)
    }

    /// Sliding window (`sliding.lua`): the same.
    fn sliding(&mut self, limit: &Limit, wanted: f64, at: f64) -> (f64, f64, f64) {
        let (amount, window) = (limit.amount as f64, limit.window_ms as f64);
        let index = (at / window).floor();
        if self.mark != index {
            let adjacent = self.mark == index - 1.0;
            self.before = if adjacent { self.used } else { 0.0 };
            (self.mark, self.used) = (index, 0.0);
        }
        let start = index * window;
        let share = 1.0 - (at - start) / window;
        let left = amount - self.used - (share * self.before).floor();
        let fits = |from: f64, room: f64, weight: f64| {
            from + (window * (1.0 - (room + 1.0) / weight).max(0.0)).floor() + 1.0
        };
        let end = start + window;
        let room = amount - self.used - wanted;
        let retry = if room >= 0.0 && self.before > 0.0 {
            fits(start, room, self.before)
        } else if self.used > 0.0 {
            fits(end, amount - wanted, self.used)
        } else {
            end
        };
        (left, end, retry)
    }

    /// Token bucket (`bucket.lua`): the same.
    fn bucket(&mut self, limit: &Limit, wanted: f64, at: f64) -> (f64, f64, f64) {
        let (amount, window) = (limit.amount as f64, limit.window_ms as f64);
        let refill = limit.rate as f64;
        if self.used <= 0.0 {
            (self.mark, self.used) = (at, 0.0);
        }
        let steps = ((at - self.mark) / window).floor().max(0.0);
        self.mark += steps * window;
        self.used = (self.used - steps * refill).max(0.0);
        let missing = (wanted - (amount - self.used)).max(0.0);
        let intervals = (missing / refill).ceil().max(1.0);
        let next = self.mark + window;
        (amount - self.used, next, self.mark + intervals * window)
    }

    /// GCRA (`gcra.lua`): the same. In units of 1/amount ms every number is whole.
    fn gcra(&mut self, limit: &Limit, wanted: f64, at: f64) -> (f64, f64, f64) {
        let (amount, window) = (limit.amount as f64, limit.window_ms as f64);
        let all = limit.rate as f64 * window;
        self.used = (self.used - (at - self.mark) * amount).clamp(0.0, all);
        self.mark = at;
        let left = ((all - self.used) / window).floor();
        let retry = at + ((self.used + wanted * window - all) / amount).ceil();
        (left, self.full_at(limit), retry)
    }

    /// What was taken of the period with this end.
    fn used_until(&mut self, end: f64) -> f64 {
        if self.mark != end {
            (self.mark, self.used) = (end, 0.0);
        }
        self.used
    }

    /// GCRA: when nothing is missing.
    fn full_at(&self, limit: &Limit) -> f64 {
        self.mark + (self.used / limit.amount as f64).ceil()
    }

    /// Takes a cost that fits, right after it was judged.
    fn take(&mut self, limit: &Limit, cost: u64) {
        let unit = match limit.kind {
            Kind::Gcra => limit.window_ms as f64,
            _ => 1.0,
        };
        self.used += cost as f64 * unit;
    }
}

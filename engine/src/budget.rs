//! The work that the running command has left.
//!
//! Every loop that can take longer than its arguments and its reply are long spends steps. The
//! clock is read once in [`SLICE`] steps, so a short command never reads it. What is over stays
//! over, and the command's reply is then the reason: a loop that cannot fail may just end. A
//! command that writes spends what it needs before it changes anything.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::limits::{CallLimits, Ended};
use crate::options::Options;

/// Steps between two looks at the clock; a step is some nanoseconds.
const SLICE: usize = 50_000;
/// What a step takes at least.
const STEP_NANOS: u128 = 5;
/// The most steps that may be taken at once, without a look at the clock.
const AT_ONCE: usize = 1 << 28;
/// The longest a command may run, unless configured: nobody else is served meanwhile.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The most bytes one command may put together, as its reply or on the way to it.
const SCRATCH: usize = 512 << 20;

pub(crate) const NOTBUSY: Error = Error::fixed("NOTBUSY No scripts in execution right now.");
const UNKILLABLE: Error = Error::fixed(
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can only wait until it ends by its time limit.",
);

fn busy_with(kind: ScriptKind) -> Error {
    Error::new(format!(
        "BUSY Redis is busy running a script. You can only call {} or wait until it ends by its time limit.",
        kind.command()
    ))
}

/// Why a command was stopped.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Call(Ended),
    Time,
    Size,
}

/// The steps it takes to try a regular expression on a text.
pub(crate) fn regex_steps(pattern: &str, text: &[u8]) -> usize {
    /// What a counted repetition may be compiled to.
    const REPEATED: usize = 4096;
    let states = if pattern.contains('{') {
        REPEATED
    } else {
        pattern.len()
    };
    1 + states.saturating_mul(text.len())
}

/// What is left for the running command; shared by the commands of a script and by all that run
/// it. A cheap clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    time_limit: Duration,
    /// Steps until the next look at the clock.
    steps: AtomicUsize,
    /// Bytes that may still be put together.
    scratch: AtomicUsize,
    /// Whether the call has limits.
    limited: AtomicBool,
    /// Whether the command looked at the clock or was stopped.
    long: AtomicBool,
    /// Whether the commands of the call are one step.
    atomic: AtomicBool,
    /// Whether something was written: a script or a transaction is not left half done then because
    /// nobody waits for its reply any more.
    written: AtomicBool,
    /// What runs: a [`ScriptKind`], or [`NO_SCRIPT`].
    script: AtomicU8,
    /// When the script first looked at the clock, in milliseconds; 0 before.
    long_since: AtomicU64,
    /// Whether the script was ended by a command.
    killed: AtomicBool,
    /// After how many milliseconds of a script other clients are told so.
    busy_after: AtomicU64,
    /// How many libraries and functions there are.
    functions: [AtomicUsize; 2],
    call: Mutex<Call>,
}

/// No script runs.
const NO_SCRIPT: u8 = 0;
/// After how many milliseconds of a script other clients are told so, unless configured.
const BUSY_AFTER: u64 = 5000;

/// What SCRIPT KILL ends, and what FUNCTION KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptKind {
    /// EVAL and its family.
    Script = 1,
    /// FCALL and FCALL_RO.
    Function = 2,
}

impl ScriptKind {
    const fn command(self) -> &'static str {
        match self {
            Self::Script => "SCRIPT KILL",
            Self::Function => "FUNCTION KILL",
        }
    }
}

/// A script that runs, until dropped.
#[derive(Debug)]
pub(crate) struct RunningScript(Budget);

impl Drop for RunningScript {
    fn drop(&mut self) {
        self.0.0.script.store(NO_SCRIPT, Relaxed);
    }
}

/// Milliseconds since this program first asked, and one.
fn milliseconds() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    1 + u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
}

/// What is seldom needed.
#[derive(Debug, Default)]
struct Call {
    limits: CallLimits,
    /// Bytes that the call's replies may still have.
    reply_left: usize,
    /// Set at the first look at the clock.
    deadline: Option<Instant>,
    over: Option<Stop>,
}

impl Budget {
    pub(crate) fn new(options: &Options) -> Self {
        Self::with_time_limit(options.script_time_limit.unwrap_or(TIME_LIMIT))
    }

    pub(crate) fn with_time_limit(time_limit: Duration) -> Self {
        Self(Arc::new(Inner {
            time_limit,
            steps: AtomicUsize::new(SLICE),
            scratch: AtomicUsize::new(SCRATCH),
            limited: AtomicBool::new(false),
            long: AtomicBool::new(false),
            atomic: AtomicBool::new(false),
            written: AtomicBool::new(false),
            script: AtomicU8::new(NO_SCRIPT),
            long_since: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            busy_after: AtomicU64::new(BUSY_AFTER),
            functions: [AtomicUsize::new(0), AtomicUsize::new(0)],
            call: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Call> {
        self.0.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a call with these limits.
    pub(crate) fn open(&self, limits: &CallLimits) {
        self.0.atomic.store(false, Relaxed);
        self.0.written.store(false, Relaxed);
        let limited = !limits.is_default();
        if limited || self.0.limited.load(Relaxed) {
            self.0.limited.store(limited, Relaxed);
            let mut call = self.lock();
            call.reply_left = limits.reply_bytes.unwrap_or(usize::MAX);
            call.limits.clone_from(limits);
        }
        self.renew();
    }

    /// The commands of the call are one step from here on.
    pub(crate) fn begin_transaction(&self) {
        self.0.atomic.store(true, Relaxed);
    }

    /// A command has written.
    pub(crate) fn wrote(&self) {
        self.0.written.store(true, Relaxed);
    }

    fn ended(&self, limits: &CallLimits, now: Instant) -> Result<(), Ended> {
        match limits.check(now) {
            Err(Ended::Cancelled) if self.0.written.load(Relaxed) => limits.check_time(now),
            Ok(()) if self.0.killed.load(Relaxed) => match self.script() {
                Some(kind) => Err(Ended::Killed(kind.command())),
                None => Ok(()),
            },
            outcome => outcome,
        }
    }

    fn script(&self) -> Option<ScriptKind> {
        [ScriptKind::Script, ScriptKind::Function]
            .into_iter()
            .find(|kind| *kind as u8 == self.0.script.load(Relaxed))
    }

    /// A script begins.
    pub(crate) fn begin_script(&self, kind: ScriptKind) -> RunningScript {
        self.0.long_since.store(0, Relaxed);
        self.0.killed.store(false, Relaxed);
        self.0.script.store(kind as u8, Relaxed);
        RunningScript(self.clone())
    }

    /// The script that runs and has looked at the clock, and since when.
    fn long_script(&self) -> Option<(ScriptKind, u64)> {
        let kind = self.script()?;
        let since = self.0.long_since.load(Relaxed);
        (since > 0).then_some((kind, since))
    }

    /// The script that runs for more than a moment, and for how long.
    pub(crate) fn running_script(&self) -> Option<(ScriptKind, Duration)> {
        let (kind, since) = self.long_script()?;
        let running = milliseconds().saturating_sub(since);
        Some((kind, Duration::from_millis(running)))
    }

    /// Tells how many libraries and functions there are now.
    pub(crate) fn set_functions(&self, libraries: usize, functions: usize) {
        self.0.functions[0].store(libraries, Relaxed);
        self.0.functions[1].store(functions, Relaxed);
    }

    /// How many libraries and functions there are.
    pub(crate) fn functions(&self) -> [usize; 2] {
        self.0.functions.each_ref().map(|count| count.load(Relaxed))
    }

    /// Sets after how many milliseconds of a script other clients are told so.
    pub(crate) fn set_busy_after(&self, milliseconds: u64) {
        self.0.busy_after.store(milliseconds, Relaxed);
    }

    /// What other clients are told when a script has run for long.
    pub(crate) fn busy(&self) -> Option<Error> {
        let (kind, since) = self.long_script()?;
        let long = milliseconds().saturating_sub(since) >= self.0.busy_after.load(Relaxed);
        long.then(|| busy_with(kind))
    }

    /// Ends the script that runs, unless it has written.
    pub(crate) fn kill(&self, kind: ScriptKind) -> Result<(), Error> {
        match self.long_script() {
            None => Err(NOTBUSY),
            Some((running, _)) if running != kind => Err(busy_with(running)),
            Some(_) if self.0.written.load(Relaxed) => Err(UNKILLABLE),
            Some(_) => {
                self.0.killed.store(true, Relaxed);
                Ok(())
            }
        }
    }

    /// Forgets what was spent.
    pub(crate) fn renew(&self) {
        self.0.steps.store(SLICE, Relaxed);
        self.0.scratch.store(SCRATCH, Relaxed);
        if self.0.long.load(Relaxed) {
            self.0.long.store(false, Relaxed);
            let mut call = self.lock();
            (call.deadline, call.over) = (None, None);
        }
    }

    /// Starts a command; fails if the call is over.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        self.renew();
        if !self.0.limited.load(Relaxed) {
            return Ok(());
        }
        if !self.0.atomic.load(Relaxed) {
            self.0.written.store(false, Relaxed);
        }
        let limits = &self.lock().limits;
        self.ended(limits, Instant::now()).map_err(Ended::error)
    }

    /// Fails if the command was stopped.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.was_long() {
            return Ok(());
        }
        let over = self.lock().over;
        over.map_or(Ok(()), |stop| Err(self.error(stop)))
    }

    fn error(&self, stop: Stop) -> Error {
        match stop {
            Stop::Call(ended) => ended.error(),
            Stop::Size => Error::fixed("ERR the result is too large"),
            Stop::Time => Error::new(format!(
                "BUSY Command ran longer than {} ms and was stopped",
                self.0.time_limit.as_millis()
            )),
        }
    }

    /// Takes steps; fails when the command has run too long.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Error> {
        match self.0.steps.load(Relaxed).checked_sub(steps) {
            Some(left) => {
                self.0.steps.store(left, Relaxed);
                Ok(())
            }
            None if steps > AT_ONCE => self.stop(Stop::Time),
            None => self.look(),
        }
    }

    /// Takes what a command of a script has taken: a script may call many that spend nothing.
    pub(crate) fn spend_time(&self, took: Duration) {
        let steps = usize::try_from(took.as_nanos() / STEP_NANOS).unwrap_or(SLICE);
        // When it is over, the script ends with its next step.
        let _ = self.spend(steps.min(SLICE));
    }

    /// Takes memory for what a command puts together; fails when it is too much.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Error> {
        match self.0.scratch.load(Relaxed).checked_sub(bytes) {
            Some(left) => {
                self.0.scratch.store(left, Relaxed);
                Ok(())
            }
            None => self.stop(Stop::Size),
        }
    }

    /// The most bytes that a reply may have which is put together now.
    pub(crate) fn most_bytes(&self) -> usize {
        self.reply_left().unwrap_or(SCRATCH).min(SCRATCH)
    }

    /// Looks at the clock; fails when the command has run too long.
    #[cold]
    pub(crate) fn look(&self) -> Result<(), Error> {
        let now = Instant::now();
        let mut call = self.lock();
        if let Some(stop) = call.over {
            return Err(self.error(stop));
        }
        self.0.long.store(true, Relaxed);
        if self.script().is_some() && self.0.long_since.load(Relaxed) == 0 {
            self.0.long_since.store(milliseconds(), Relaxed);
        }
        let stop = match (self.ended(&call.limits, now), call.deadline) {
            (Err(ended), _) => Some(Stop::Call(ended)),
            (Ok(()), Some(deadline)) => (now > deadline).then_some(Stop::Time),
            (Ok(()), None) => {
                call.deadline = now.checked_add(self.0.time_limit);
                None
            }
        };
        drop(call);
        if let Some(stop) = stop {
            return self.stop(stop);
        }
        self.0.steps.store(SLICE, Relaxed);
        Ok(())
    }

    fn stop(&self, why: Stop) -> Result<(), Error> {
        self.0.long.store(true, Relaxed);
        self.0.steps.store(0, Relaxed);
        self.lock().over.get_or_insert(why);
        self.check()
    }

    /// Whether the command took so many steps that the clock was read.
    pub(crate) fn was_long(&self) -> bool {
        self.0.long.load(Relaxed)
    }

    /// Counts a reply; fails if the call's replies would be too large.
    pub(crate) fn reply(&self, size: impl FnOnce() -> usize) -> Result<(), Error> {
        if self.reply_left().is_none() {
            return Ok(());
        }
        let size = size();
        let mut call = self.lock();
        match call.reply_left.checked_sub(size) {
            Some(left) => {
                call.reply_left = left;
                Ok(())
            }
            None => Err(Error::new(format!(
                "ERR the reply of {size} bytes does not fit the {} bytes that are left for this call",
                call.reply_left
            ))),
        }
    }

    /// Bytes that the call's replies may still have; `None`: any number.
    pub(crate) fn reply_left(&self) -> Option<usize> {
        if !self.0.limited.load(Relaxed) {
            return None;
        }
        let call = self.lock();
        call.limits.reply_bytes.map(|_| call.reply_left)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::limits::CancelToken;

    fn budget(limit: Duration) -> Budget {
        Budget::new(&Options::default().script_time_limit(limit))
    }

    #[test]
    fn steps_end_when_the_time_is_over() {
        let budget = budget(Duration::ZERO);
        budget.begin().unwrap();
        assert!(budget.spend(SLICE).is_ok());
        assert!(!budget.was_long());
        assert!(budget.spend(1).is_ok(), "the time starts at the first look");
        assert!(budget.was_long());
        while budget.spend(SLICE).is_ok() {}
        assert_eq!(budget.check().unwrap_err().code(), "BUSY");
        assert!(budget.spend(1).is_err(), "over is over");
        budget.begin().unwrap();
        assert!(budget.spend(1).is_ok(), "the next command starts anew");
    }

    #[test]
    fn a_call_that_is_over_begins_nothing() {
        let budget = budget(Duration::from_secs(1));
        let token = CancelToken::default();
        budget.open(&CallLimits::default().cancel(token.clone()));
        assert!(budget.begin().is_ok());
        token.cancel();
        assert_eq!(budget.begin(), Err(Ended::Cancelled.error()));
        assert_eq!(budget.spend(SLICE + 1), Err(Ended::Cancelled.error()));
        let past = Instant::now().checked_sub(Duration::from_millis(1));
        budget.open(&CallLimits::default().deadline(past.unwrap()));
        assert_eq!(budget.begin(), Err(Ended::OutOfTime.error()));
        budget.open(&CallLimits::default());
        assert!(budget.begin().is_ok());
    }
}

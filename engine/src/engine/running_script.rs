//! What others can do while a script holds the database.

use std::time::Duration;

use super::Engine;
use crate::budget::ScriptKind;
use crate::error::Error;

impl Engine {
    /// The script that runs for more than a moment, and for how long; waits for nothing.
    pub fn running_script(&self) -> Option<(ScriptKind, Duration)> {
        self.shared.budget.running_script()
    }

    /// How many libraries and functions there are; waits for nothing.
    pub fn functions(&self) -> [usize; 2] {
        self.shared.budget.functions()
    }

    /// What to answer instead of waiting, when a script runs for longer than the setting
    /// `busy-reply-threshold`, 5 s; waits for nothing.
    pub fn busy(&self) -> Option<Error> {
        self.shared.budget.busy()
    }

    /// Ends the script that runs; waits for nothing. Its caller gets an error.
    ///
    /// # Errors
    /// If none runs, one of the other kind does, or it has written: it ends whole.
    pub fn kill_script(&self, kind: ScriptKind) -> Result<(), Error> {
        self.shared.budget.kill(kind)
    }
}

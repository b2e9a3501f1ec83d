//! `math.random` as Redis has it: a 48-bit generator with a known start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::error::{bad_argument, bad_type, raise_at};

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;
const START: u64 = 0x1234_ABCD_330E;
const LOW_WORD: u64 = 0x330E;
/// No state: states have 48 bits.
const UNSEEDED: u64 = u64::MAX;

/// The generator of one interpreter.
#[derive(Debug)]
pub(super) struct Generator {
    /// Goes on from script to script.
    common: AtomicU64,
    /// What the script that runs has set: no other script is to count with it.
    seeded: AtomicU64,
}

/// The generator, shared.
pub(super) type Shared = Arc<Generator>;

impl Default for Generator {
    fn default() -> Self {
        Self {
            common: AtomicU64::new(START),
            seeded: AtomicU64::new(UNSEEDED),
        }
    }
}

impl Generator {
    /// Forgets what the last script has set.
    pub(super) fn reset(&self) {
        self.seeded.store(UNSEEDED, Ordering::Relaxed);
    }

    fn next(&self) -> u64 {
        let seeded = self.seeded.load(Ordering::Relaxed);
        let state = if seeded == UNSEEDED {
            &self.common
        } else {
            &self.seeded
        };
        let next = state
            .load(Ordering::Relaxed)
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(INCREMENT)
            & MASK;
        state.store(next, Ordering::Relaxed);
        next
    }
}

/// Replaces `random` and `randomseed` in the `math` table.
pub(super) fn install(lua: &Lua, math: &Table, generator: &Shared) -> Result<()> {
    let shared = Arc::clone(generator);
    let random = lua.create_function(move |lua, args: MultiValue| {
        let next = shared.next();
        let range = i32::MAX as u64;
        let r = ((next >> 17) % range) as f64 / range as f64;
        match args.len() {
            0 => Ok(r),
            1 => {
                let high = integer(lua, &args, 1, "random")?;
                if high < 1 {
                    return Err(bad_argument(lua, 1, "random", "interval is empty"));
                }
                Ok((r * high as f64).floor() + 1.0)
            }
            2 => {
                let low = integer(lua, &args, 1, "random")?;
                let high = integer(lua, &args, 2, "random")?;
                if low > high {
                    return Err(bad_argument(lua, 2, "random", "interval is empty"));
                }
                Ok((r * (high - low + 1) as f64).floor() + low as f64)
            }
            _ => Err(raise_at(lua, "wrong number of arguments")),
        }
    })?;
    math.raw_set("random", random)?;
    let shared = Arc::clone(generator);
    let randomseed = lua.create_function(move |lua, args: MultiValue| {
        let seed = integer(lua, &args, 1, "randomseed")? as u32;
        let state = (u64::from(seed) << 16) | LOW_WORD;
        shared.seeded.store(state, Ordering::Relaxed);
        Ok(())
    })?;
    math.raw_set("randomseed", randomseed)
}

fn integer(lua: &Lua, args: &MultiValue, index: usize, function: &str) -> Result<i64> {
    let value = args.get(index - 1);
    let number = match value {
        Some(Value::Integer(n)) => return Ok(i64::from(*n as i32)),
        Some(Value::Number(n)) => Some(*n),
        Some(Value::String(s)) => lua.coerce_number(Value::String(s.clone()))?,
        _ => None,
    };
    number
        .map(|n| i64::from(n as i32))
        .ok_or_else(|| bad_type(lua, index, function, "number", value))
}

//! What a test may do with a server: return it to its seed, and move its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use restis_engine::{Clock, Reply};
use serde::Deserialize;

use crate::database::Access;
use crate::resp::split;
use crate::texts::Failure;

/// The furthest that a clock may be moved: a hundred years.
const FURTHEST: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// Lets tests reset a server and move its time, at `/__restis/reset` and `/__restis/clock`.
///
/// For development and tests: whoever has a token of a database can empty it by one request.
#[derive(Clone, Debug, Default)]
pub struct TestControl {
    seed: Arc<Vec<Vec<Vec<u8>>>>,
    ahead_ms: Arc<AtomicU64>,
}

impl TestControl {
    /// A server whose databases begin with what these commands make, and return to it.
    ///
    /// A command a line, in words as `redis-cli` takes them: `SET greeting "hello \xff"`. Empty
    /// lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// The number of the line whose quotes are not closed.
    pub fn with_seed(text: &[u8]) -> Result<Self, String> {
        let mut seed = Vec::new();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let words =
                split(line).ok_or_else(|| format!("line {}: a quote is not closed", at + 1))?;
            let is_comment = words.first().is_some_and(|word| word.starts_with(b"#"));
            if !words.is_empty() && !is_comment {
                seed.push(words.into_iter().map(|word| word.to_vec()).collect());
            }
        }
        Ok(Self {
            seed: Arc::new(seed),
            ahead_ms: Arc::default(),
        })
    }

    pub(crate) fn has_seed(&self) -> bool {
        !self.seed.is_empty()
    }

    /// How far the clock is ahead of the machine's.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// The clock of the databases.
    pub(crate) fn clock(&self) -> Clock {
        let control = self.clone();
        let system = Clock::system();
        Clock::from_fn(move || system.now() + control.ahead())
    }

    /// Empties a database and runs the seed, in one step.
    ///
    /// # Errors
    /// The number of the command that failed, from 1, and why.
    pub(crate) fn reset(&self, access: &Access) -> Result<(), String> {
        let Some(local) = access.database.local() else {
            return Err("ERR only a store in memory can be reset".to_owned());
        };
        let mut commands = vec![
            vec![b"FLUSHALL".to_vec()],
            vec![b"FUNCTION".to_vec(), b"FLUSH".to_vec()],
        ];
        let first = commands.len();
        commands.extend(self.seed.iter().cloned());
        let replies = local
            .engine()
            .transaction(&access.caller, &commands)
            .map_err(|error| error.to_string())?;
        for (at, reply) in replies.into_iter().enumerate() {
            if let Reply::Error(error) = reply {
                let number = (at + 1).saturating_sub(first);
                return Err(match number {
                    0 => error.to_string(),
                    _ => format!("ERR command {number} of the seed: {error}"),
                });
            }
        }
        Ok(())
    }

    /// Answers a request below `/__restis/`: what `result` is to be.
    pub(crate) fn answer(
        &self,
        path: &str,
        method: &Method,
        body: &Bytes,
        access: &Access,
    ) -> Result<String, Failure> {
        match (path, method) {
            ("reset", &Method::POST) => {
                self.ahead_ms.store(0, Ordering::Relaxed);
                self.reset(access).map_err(Failure::bad_request)?;
                Ok("\"OK\"".to_owned())
            }
            ("clock", &Method::GET) => Ok(self.now()),
            ("clock", &Method::POST) => {
                let Ok(Move { advance_ms }) = serde_json::from_slice(body) else {
                    return Err(Failure::bad_request(
                        "ERR expected {\"advance_ms\": milliseconds}",
                    ));
                };
                let before = self.ahead_ms.load(Ordering::Relaxed);
                if advance_ms > FURTHEST || before + advance_ms > FURTHEST {
                    return Err(Failure::bad_request("ERR a hundred years is the most"));
                }
                self.ahead_ms.fetch_add(advance_ms, Ordering::Relaxed);
                Ok(self.now())
            }
            ("reset" | "clock", _) => Err(Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "ERR POST resets or moves, GET reads the clock",
            )),
            _ => Err(Failure::new(
                StatusCode::NOT_FOUND,
                "ERR there are /__restis/reset and /__restis/clock",
            )),
        }
    }

    fn now(&self) -> String {
        let now = Clock::system().now() + self.ahead();
        format!("{{\"now_ms\":{}}}", now.as_millis())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    advance_ms: u64,
}

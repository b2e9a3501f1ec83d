//! `restis stat` and `restis keys`: what a database does, and what fills it.

mod keys;
mod stat;

use restis::{Error, Redis};
use tokio::runtime::Runtime;

pub(crate) use self::keys::{EXAMPLES as KEYS_EXAMPLES, KeysArgs, run as keys};
pub(crate) use self::stat::{EXAMPLES as STAT_EXAMPLES, StatArgs, run as stat};
use crate::failure::Failure;
use crate::target::DatabaseArgs;

fn client(database: &DatabaseArgs) -> Result<Redis, Failure> {
    database.target()?.builder.build().map_err(Failure::usage)
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))
}

/// Why the database did not answer.
fn refused(error: Error) -> Failure {
    Failure::new(format!("the database: {error}; `restis check` tells more"))
}

/// Bytes in at most seven columns.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    for (unit, size) in [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)] {
        if bytes >= size * 0.9995 {
            let number = bytes / size;
            return match number < 9.95 {
                true => format!("{number:.1} {unit}"),
                false => format!("{number:.0} {unit}"),
            };
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_has_two_digits_or_more_and_a_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KB"),
            (99_960, "100 KB"),
            (1_500_000, "1.5 MB"),
            (999_999_999, "1.0 GB"),
            (64_000_000_000, "64 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}

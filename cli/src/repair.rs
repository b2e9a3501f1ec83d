//! `restis repair`: making damaged files of a store loadable again.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use restis_server::Repaired;

use crate::failure::Failure;

/// Options of `restis repair`.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// The directory of `restis serve --data`; no server may use it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &RepairArgs) -> Result<(), Failure> {
    let repaired = restis_server::repair(&args.dir).map_err(Failure::new)?;
    if repaired.is_empty() {
        let dir = args.dir.display();
        return Err(Failure::new(format!("{dir} has no files of a database")));
    }
    let text: String = repaired.iter().map(told).collect();
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(format!("cannot print what was done: {error}")))
}

fn told(repaired: &Repaired) -> String {
    let Repaired {
        database,
        keys,
        losses,
        kept,
        ..
    } = repaired;
    let mut text = match losses.is_empty() {
        true => format!("{database}: {keys} keys, nothing is damaged\n"),
        false => format!("{database}: {keys} keys are kept\n"),
    };
    for loss in losses {
        text.push_str(&format!("  {loss}\n"));
    }
    if let Some(kept) = kept {
        let kept = kept.display();
        text.push_str(&format!("  the files as they were are in {kept}\n"));
    }
    text
}

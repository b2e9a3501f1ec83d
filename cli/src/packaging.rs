//! `restis packaging`: what a package holds beside the program. Built with the feature `packaging`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::failure::Failure;

/// Options of `restis packaging`.
#[derive(Args, Debug)]
pub(crate) struct PackagingArgs {
    /// Where the files are written
    directory: PathBuf,
}

/// Writes the completions of shells and a manual page for each command.
pub(crate) fn run(command: clap::Command, args: &PackagingArgs) -> Result<(), Failure> {
    // `restis help serve` is what `man restis-serve` tells.
    let mut command = command.disable_help_subcommand(true);
    let directory = &args.directory;
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", directory.display()));
    std::fs::create_dir_all(directory).map_err(failed)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, "restis", directory).map_err(failed)?;
    }
    clap_mangen::generate_to(command, directory).map_err(failed)
}

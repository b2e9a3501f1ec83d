//! `restis config init`: a file that names every variable.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use clap::Args;

use super::table::{GROUPS, bare};
use crate::failure::Failure;

/// Options of `restis config init`.
#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// The file
    #[arg(default_value = ".env.example")]
    file: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
}

/// Writes the file; one that is there stays unless it is forced.
pub(super) fn run(args: &InitArgs) -> Result<(), Failure> {
    let path = &args.file;
    let mut options = OpenOptions::new();
    options.write(true);
    match args.force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text().as_bytes()));
    match written {
        Ok(()) => super::print(&format!(
            "{} is written: every variable, as a comment. Copy what you need to .env.local.\n",
            path.display()
        )),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::new(
            format!("{} is there already; --force overwrites it", path.display()),
        )),
        Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
    }
}

fn text() -> String {
    let mut lines = vec![
        "# Every variable of restis. Read, highest first: the environment of the process,"
            .to_owned(),
        "# .env.ENV.local, .env.local, .env.ENV, .env; ENV is development, staging or production."
            .to_owned(),
        "# Keep secrets in files that are not committed: .env.local, .env.ENV.local.".to_owned(),
    ];
    for group in &GROUPS {
        lines.push(format!(
            "\n# {}: read by {}",
            bare(group.title),
            bare(group.read_by)
        ));
        for variable in group.variables {
            let form = bare(variable.form);
            let default = match variable.default {
                "" => String::new(),
                default => format!("; default {}", bare(default)),
            };
            lines.push(format!("\n# {} ({form}{default})", bare(variable.meaning)));
            lines.push(format!("# {}=", variable.name));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

//! The programs that are measured, as Cargo builds them beside this one.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;

/// A program of the workspace that is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// The command `restis`.
    Restis,
    /// The functions.
    App,
}

impl Program {
    fn package(self) -> &'static str {
        match self {
            Self::Restis => "restis-cli",
            Self::App => "restis-handlers",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Restis => "restis",
            Self::App => "app",
        }
    }

    /// Path of the program; builds it with this program's profile where it is missing.
    ///
    /// A program that is there is measured as it is: rebuild it after a change.
    pub(crate) fn path(self) -> Result<PathBuf, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(format!("no program {}: {why}", self.name()))
        };
        let own = std::env::current_exe().map_err(|error| failed(&error))?;
        let path = own.with_file_name(format!("{}{}", self.name(), std::env::consts::EXE_SUFFIX));
        if path.is_file() {
            return Ok(path);
        }
        let mut build = Command::new("cargo");
        build.args(["build", "--package", self.package(), "--bin", self.name()]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.status().map_err(|error| failed(&error))?;
        if built.success() && path.is_file() {
            return Ok(path);
        }
        Err(failed(&format_args!(
            "build it with cargo build --release -p {}",
            self.package()
        )))
    }
}

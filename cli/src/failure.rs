//! Why a command fails, and with which exit code.

use std::io::Write as _;
use std::process::ExitCode;

/// Why the program ends with a failure: a sentence and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// Tells the sentence on standard error; the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.text.is_empty() {
            // Nothing is left to do if standard error is closed.
            let _ = writeln!(std::io::stderr(), "restis: {}", self.text);
        }
        ExitCode::from(self.code)
    }

    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: 1,
        }
    }

    pub(crate) fn with_code(text: impl std::fmt::Display, code: u8) -> Self {
        Self {
            text: text.to_string(),
            code,
        }
    }

    /// What has been told already.
    pub(crate) fn told(code: u8) -> Self {
        Self {
            text: String::new(),
            code,
        }
    }

    pub(crate) fn usage(text: impl std::fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: 2,
        }
    }

    /// An address that cannot be listened on; names the option that changes it.
    pub(crate) fn bind(addr: &str, option: &str, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            return Self::taken(addr, option);
        }
        Self::new(format!("cannot listen on {addr}: {error}"))
    }

    /// The same of the REST server.
    pub(crate) fn start(addr: &str, option: &str, error: restis_server::StartError) -> Self {
        if error.taken_address() == Some(addr) {
            return Self::taken(addr, option);
        }
        error.into()
    }

    fn taken(addr: &str, option: &str) -> Self {
        Self {
            text: format!("{addr} is taken by another program; choose another with {option}"),
            code: 3,
        }
    }
}

impl From<restis_server::StartError> for Failure {
    fn from(error: restis_server::StartError) -> Self {
        Self {
            text: error.to_string(),
            code: if error.is_address_in_use() { 3 } else { 1 },
        }
    }
}

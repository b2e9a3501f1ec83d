//! What `restis dev` keeps in `.restis/` of the working directory: secrets and data.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Where it is kept.
const DIR: &str = ".restis";
const SECRETS: &str = "secrets.json";
const LOCK: &str = "lock";
/// Bytes that the file of secrets may have.
const MOST: u64 = 64 << 10;
/// Characters that a secret must have.
const LEAST: usize = 32;

/// Secrets that are made once and stay the same.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    /// Opens the store.
    pub(crate) token: String,
    /// Opens the functions.
    pub(crate) service_token: String,
    /// Signs sessions.
    pub(crate) session_secret: String,
    /// Signs grants of event streams.
    pub(crate) grant_secret: String,
}

impl Secrets {
    /// New ones.
    pub(crate) fn random() -> Result<Self, Failure> {
        let random = || restis_server::random_token().map_err(Failure::new);
        Ok(Self {
            token: random()?,
            service_token: random()?,
            session_secret: random()?,
            grant_secret: random()?,
        })
    }

    fn are_sound(&self) -> bool {
        let all = [
            &self.token,
            &self.service_token,
            &self.session_secret,
            &self.grant_secret,
        ];
        all.iter()
            .all(|text| text.len() >= LEAST && text.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}

/// What is kept, for one process at a time.
pub(crate) struct DevState {
    pub(crate) secrets: Secrets,
    /// Where the store keeps its data.
    pub(crate) data: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl DevState {
    /// Opens what is kept below a directory, or begins it.
    pub(crate) fn open(working: &Path) -> Result<Self, Failure> {
        let dir = working.join(DIR);
        let problem = |error: io::Error| {
            Failure::new(format!(
                "{}: {error}; `restis dev` keeps its secrets and data there, with --ephemeral nowhere",
                dir.display()
            ))
        };
        create_dir(&dir).map_err(problem)?;
        let lock = lock(&dir)?.map_err(problem)?;
        let ignore = dir.join(".gitignore");
        if !ignore.exists() {
            write(&ignore, b"*\n").map_err(problem)?;
        }
        let path = dir.join(SECRETS);
        let secrets = if let Some(text) = read(&path).map_err(problem)? {
            parse(&path, &text)?
        } else {
            let secrets = Secrets::random()?;
            let mut text = serde_json::to_vec_pretty(&secrets).map_err(Failure::new)?;
            text.push(b'\n');
            write(&path, &text).map_err(problem)?;
            secrets
        };
        Ok(Self {
            secrets,
            data: dir.join("data"),
            _lock: lock,
        })
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Secrets, Failure> {
    let secrets = serde_json::from_slice(text).ok();
    secrets.filter(Secrets::are_sound).ok_or_else(|| {
        // The parser's own words may quote a secret.
        Failure::new(format!(
            "{}: not as `restis dev` wrote it (token, service_token, session_secret and grant_secret, {LEAST} characters or more each); remove the file for new secrets",
            path.display()
        ))
    })
}

/// Claims the directory; the claim ends with the process.
fn lock(dir: &Path) -> Result<io::Result<File>, Failure> {
    let file = match private()
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK))
    {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Ok(file)),
        Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
            "another `restis dev` runs in this directory and uses {}; stop it, or start this one with --ephemeral",
            dir.display()
        ))),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(Ok(file))
        }
        Err(TryLockError::Error(error)) => Ok(Err(error)),
    }
}

/// The contents of a file, if there is one; from now on only its owner can read it.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Writes a file as a whole or not at all.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let part = path.with_extension("tmp");
    let mut file = private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&part)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

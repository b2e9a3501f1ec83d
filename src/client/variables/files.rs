//! Variables from `.env` files.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::OnceLock,
};

use super::{
    Environment, Variables,
    dotenv::{self, Entry},
    environment::NAMES,
    of_process,
};

/// A larger file is not read.
const MAX_BYTES: u64 = 1024 * 1024;

/// The `.env` files of a directory, from the highest to the lowest:
/// `.env.ENV.local`, `.env.local`, `.env.ENV`, `.env`.
///
/// ENV is the [`Environment`] that the process, `.env.local` or `.env` tells: a file of one
/// environment cannot change it. A file that is not there counts as empty, and nothing that is wrong
/// with one ends the reading: [`problems`](Self::problems) lists it.
///
/// ```
/// use restis::variables::{EnvFiles, of_process};
///
/// let files = EnvFiles::read(".".as_ref(), &of_process);
/// assert!(files.get("A_VARIABLE_THAT_NOBODY_SETS").is_none());
/// ```
#[derive(Debug, Default)]
pub struct EnvFiles {
    environment: Option<Environment>,
    /// From the highest to the lowest; those that were read.
    files: Vec<EnvFile>,
    problems: Vec<String>,
}

struct EnvFile {
    name: String,
    entries: Vec<Entry>,
}

impl std::fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// A variable of a file; its value may be a secret.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct FileVariable<'f> {
    /// Its name.
    pub name: &'f str,
    /// Its value.
    pub value: &'f str,
    /// The name of the file.
    pub file: &'f str,
    /// The line in it, from 1.
    pub line: usize,
}

impl std::fmt::Debug for FileVariable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}:{})", self.name, self.file, self.line)
    }
}

impl EnvFiles {
    /// Reads the files of a directory; `process` yields the variables of the process.
    pub fn read(directory: &Path, process: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut problems = Vec::new();
        let mut open = |name: String| open(directory, name, &mut problems);
        let local = open(".env.local".to_owned());
        let base = open(".env".to_owned());
        let lookup = |name: &str| {
            let of_files = || {
                [&local, &base]
                    .into_iter()
                    .flatten()
                    .find_map(|f| f.get(name))
            };
            process(name).or_else(|| of_files().map(|entry| entry.value.clone()))
        };
        let mut vars = Variables::new(&lookup);
        let environment = Environment::from_vars(&mut vars);
        let unknown = vars.into_problems();
        let mut own = |end: &str| {
            let mut file = open(format!(".env.{}{end}", environment?.name()))?;
            file.entries.retain(|entry| !NAMES.contains(&&*entry.name));
            Some(file)
        };
        let files = [own(".local"), local, own(""), base];
        problems.extend(unknown);
        Self {
            environment,
            files: files.into_iter().flatten().collect(),
            problems,
        }
    }

    /// The files of the current directory, read once; none with `RESTIS_ENV_FILES=false`.
    pub fn of_process() -> &'static Self {
        static FILES: OnceLock<EnvFiles> = OnceLock::new();
        FILES.get_or_init(|| {
            let wanted = Variables::new(&of_process).flag("RESTIS_ENV_FILES");
            if wanted == Some(false) {
                return Self::default();
            }
            let files = Self::read(Path::new("."), &of_process);
            for problem in &files.problems {
                tracing::warn!("{problem}");
            }
            files
        })
    }

    /// The variable, from the highest file that sets it.
    pub fn get(&self, name: &str) -> Option<FileVariable<'_>> {
        self.files.iter().find_map(|file| {
            let entry = file.get(name)?;
            Some(file.variable(entry))
        })
    }

    /// Every variable that counts, from the highest file to the lowest.
    pub fn variables(&self) -> impl Iterator<Item = FileVariable<'_>> {
        let all = self.files.iter();
        let all = all.flat_map(|file| file.entries.iter().map(|entry| file.variable(entry)));
        all.filter(|variable| {
            self.get(variable.name)
                .is_some_and(|highest| highest.file == variable.file)
        })
    }

    /// The environment by which the files were chosen; `None` when its name is unknown.
    pub fn environment(&self) -> Option<Environment> {
        self.environment
    }

    /// The names of the files that were read, from the highest to the lowest.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.name)
    }

    /// What is wrong with the files: `FILE:LINE: what to write`, without values.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl EnvFile {
    fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    fn variable<'f>(&'f self, entry: &'f Entry) -> FileVariable<'f> {
        FileVariable {
            name: &entry.name,
            value: &entry.value,
            file: &self.name,
            line: entry.line,
        }
    }
}

fn open(directory: &Path, name: String, problems: &mut Vec<String>) -> Option<EnvFile> {
    let bytes = match bytes(&directory.join(&name)) {
        Ok(bytes) => bytes?,
        Err(error) => {
            problems.push(format!("{name}: the file cannot be read: {error}"));
            return None;
        }
    };
    // What is no UTF-8 becomes a problem of its variable.
    let parsed = dotenv::parse(&String::from_utf8_lossy(&bytes));
    let told = parsed.problems.into_iter();
    problems.extend(told.map(|(line, what)| format!("{name}:{line}: {what}")));
    Some(EnvFile {
        name,
        entries: parsed.entries,
    })
}

/// The file's bytes; `None` where there is no file, such as a directory of that name.
fn bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // A pipe would be waited for.
    match path.metadata() {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Where there are no files, such as in a browser.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let what = "it has more than 1 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::{fs, path::PathBuf};

    /// A directory of files that ends with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn with(name: &str, files: &[(&str, &str)]) -> Self {
            let path =
                std::env::temp_dir().join(format!("restis-env-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            for (file, text) in files {
                fs::write(path.join(file), text).unwrap();
            }
            Self(path)
        }

        fn read(&self, process: &[(&str, &str)]) -> EnvFiles {
            EnvFiles::read(&self.0, &|name| {
                let found = process.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn value<'f>(files: &'f EnvFiles, name: &str) -> Option<(&'f str, &'f str, usize)> {
        let found = files.get(name)?;
        Some((found.value, found.file, found.line))
    }

    #[test]
    fn the_file_of_the_environment_on_this_machine_is_the_highest() {
        let all = [
            (".env", "A=0\nB=0\nC=0\nD=0"),
            (".env.staging", "A=1\nB=1\nC=1"),
            (".env.local", "A=2\nB=2"),
            (".env.staging.local", "A=3"),
            (".env.production", "A=4"),
        ];
        let directory = Directory::with("order", &all);
        let files = directory.read(&[("VERCEL_ENV", "preview"), ("NODE_ENV", "production")]);
        assert_eq!(files.environment(), Some(Environment::Staging));
        let names: Vec<_> = files.names().collect();
        let order = [".env.staging.local", ".env.local", ".env.staging", ".env"];
        assert_eq!(names, order);
        assert_eq!(value(&files, "A"), Some(("3", ".env.staging.local", 1)));
        assert_eq!(value(&files, "B"), Some(("2", ".env.local", 2)));
        assert_eq!(value(&files, "C"), Some(("1", ".env.staging", 3)));
        assert_eq!(value(&files, "D"), Some(("0", ".env", 4)));
        assert_eq!(value(&files, "E"), None);
        let all: Vec<_> = files.variables().map(|v| v.name).collect();
        assert_eq!(all, ["A", "B", "C", "D"]);
        assert!(files.problems().is_empty());
    }

    #[test]
    fn only_a_file_of_every_environment_tells_which_one_it_is() {
        let files = [
            (".env", "APP_ENV=production\n"),
            (".env.production", "APP_ENV=development\nA=1"),
            (".env.development", "A=2"),
        ];
        let directory = Directory::with("which", &files);
        let files = directory.read(&[]);
        assert_eq!(files.environment(), Some(Environment::Production));
        assert_eq!(value(&files, "A"), Some(("1", ".env.production", 2)));
        assert_eq!(value(&files, "APP_ENV"), Some(("production", ".env", 1)));
        let files = directory.read(&[("APP_ENV", "development")]);
        assert_eq!(value(&files, "A"), Some(("2", ".env.development", 1)));
    }

    #[test]
    fn what_is_wrong_is_told_by_file_and_line_and_ends_nothing() {
        let files = [(".env", "A=1\nhunter2\nAPP_ENV=qa\nB=2")];
        let directory = Directory::with("wrong", &files);
        fs::create_dir_all(directory.0.join(".env.local")).unwrap();
        let files = directory.read(&[]);
        assert_eq!(value(&files, "B"), Some(("2", ".env", 4)));
        assert_eq!(files.environment(), None);
        let problems = files.problems().join("\n");
        assert!(
            problems.starts_with(".env:2: use NAME=value\nAPP_ENV: `qa`"),
            "{problems}"
        );
        assert!(!problems.contains("hunter2") && !format!("{files:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let text = format!("A=1\nB={}", "x".repeat(MAX_BYTES as usize));
        let directory = Directory::with("large", &[(".env", &text)]);
        let files = directory.read(&[]);
        assert_eq!(value(&files, "A"), None);
        assert!(files.problems()[0].contains("1 MiB"), "{files:?}");
    }
}

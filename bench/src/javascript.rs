//! Peers in JavaScript: one script on Node and on Bun.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::args::Common;
use crate::contest::{Side, say};
use crate::failure::Failure;
use crate::store::TOKEN;

/// A runtime that was found.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// `Node` or `Bun`, with the version.
    name: String,
    program: PathBuf,
}

impl Runtime {
    /// Every runtime on this machine, and a line for each that is missing.
    pub(crate) fn all(modules: &Path) -> (Vec<Self>, Vec<String>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (name, candidates) in [("Node", vec!["node".into()]), ("Bun", bun(modules))] {
            match candidates
                .into_iter()
                .find_map(|program| Self::probe(name, program))
            {
                Some(runtime) => found.push(runtime),
                None => missing.push(format!("{name} is not installed")),
            }
        }
        (found, missing)
    }

    /// Its name and version.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A command that starts it.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.program)
    }

    fn probe(name: &str, program: PathBuf) -> Option<Self> {
        let output = Command::new(&program)
            .arg("--version")
            .stderr(Stdio::null())
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        let version = String::from_utf8(output.stdout).ok()?;
        let version = version.trim().trim_start_matches('v');
        Some(Self {
            name: format!("{name} {version}"),
            program,
        })
    }
}

/// Where npm may have put Bun: its install script moves the binary, unless scripts are off.
fn bun(modules: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![modules.join("bun/bin/bun.exe")];
    let platforms = std::fs::read_dir(modules.join("@oven"));
    for platform in platforms.into_iter().flatten().flatten() {
        candidates.push(platform.path().join("bin/bun"));
    }
    candidates.push(PathBuf::from("bun"));
    candidates
}

/// A script or program that measures what it is told, line by line; ends when dropped.
#[derive(Debug)]
pub(crate) struct Script {
    name: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    /// Starts `text`, which may require what is in `modules`.
    pub(crate) fn start(
        runtime: &Runtime,
        modules: &Path,
        text: &str,
        url: &str,
    ) -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", runtime.name));
        let modules = modules.canonicalize().map_err(|error| failed(&error))?;
        let mut command = Command::new(&runtime.program);
        command
            .args(["-e", text])
            .env("NODE_PATH", &modules)
            .env("BENCH_URL", url)
            .env("BENCH_TOKEN", TOKEN);
        Self::launch(&runtime.name, &mut command)
    }

    /// Starts a program that understands the same orders.
    pub(crate) fn launch(name: &str, command: &mut Command) -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{name}: {why}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(answers)) => Ok(Self {
                name: name.to_owned(),
                child,
                orders,
                answers: BufReader::new(answers),
            }),
            _ => Err(failed(&"no pipes")),
        }
    }

    /// The runtime's name and version.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Operations a second of the work with this name.
    pub(crate) fn rate(&mut self, work: &str, time: Duration) -> Result<f64, Failure> {
        let mut answer = String::new();
        let asked = writeln!(self.orders, "{work} {}", time.as_millis())
            .and_then(|()| self.answers.read_line(&mut answer));
        match (asked, answer.trim().parse()) {
            (Ok(_), Ok(rate)) => Ok(rate),
            _ => Err(Failure::new(format!("{}: no answer to {work}", self.name))),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The script on every runtime that is here; says why others do not run it.
pub(crate) fn peers(
    common: &Common,
    packages: &[&str],
    script: &str,
    url: &str,
) -> Result<Vec<Script>, Failure> {
    let modules = &common.node_modules;
    if let Some(missing) = packages.iter().find(|name| !modules.join(name).is_dir()) {
        say(&format!(
            "{missing} is not in {}: npm install {} bun, then --node-modules DIR\n",
            modules.display(),
            packages.join(" ")
        ))?;
        return Ok(Vec::new());
    }
    let (runtimes, missing) = Runtime::all(modules);
    for why in missing {
        say(&format!("{why}: npm install bun, or put it on PATH\n"))?;
    }
    runtimes
        .iter()
        .map(|runtime| Script::start(runtime, modules, script, url))
        .collect()
}

/// A side for each script, with a bar for each runtime: Node's and Bun's differ.
pub(crate) fn sides<'p>(
    peers: &'p mut [Script],
    client: &str,
    work: &'static str,
    node: f64,
    bun: f64,
) -> impl Iterator<Item = Side<'p>> {
    let client = client.to_owned();
    peers.iter_mut().map(move |peer| {
        let bar = if peer.name().starts_with("Bun") {
            bun
        } else {
            node
        };
        let name = format!("{client}, {}", peer.name());
        Side::new(name, move |time| peer.rate(work, time)).bar(bar)
    })
}

/// Prints how long single operations took, ours and those that the scripts kept.
pub(crate) fn latencies(ours: &mut [Duration], peers: &mut [Script]) -> Result<(), Failure> {
    let line = |name: &str, p50: f64, p99: f64| {
        say(&format!(
            "  {name:<34}p50 {p50:>8.0} us   p99 {p99:>8.0} us\n"
        ))
    };
    line("restis", percentile(ours, 50), percentile(ours, 99))?;
    for peer in peers {
        let p50 = peer.rate("p50", Duration::ZERO)?;
        let p99 = peer.rate("p99", Duration::ZERO)?;
        line(peer.name(), p50, p99)?;
    }
    Ok(())
}

/// Microseconds that so many percent did not exceed.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = times.len().saturating_sub(1) * percent / 100;
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

//! `wrk`, a load generator in C.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::failure::Failure;
use crate::store::TOKEN;

/// Numbers the script files of this process.
static SCRIPTS: AtomicUsize = AtomicUsize::new(0);

/// Requests that `wrk` sends, as a script; removed when dropped.
#[derive(Debug)]
pub(crate) struct Wrk {
    script: PathBuf,
    url: String,
    connections: usize,
}

impl Wrk {
    /// POSTs `body` to `url` over so many connections; `None` where `wrk` is not installed.
    pub(crate) fn find(url: &str, body: &str, connections: usize) -> Result<Option<Self>, Failure> {
        let mut probe = Command::new("wrk");
        probe.arg("--version").stdout(Stdio::null());
        if probe.stderr(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let (process, next) = (std::process::id(), SCRIPTS.fetch_add(1, Ordering::Relaxed));
        let script = std::env::temp_dir().join(format!("restis-bench-{process}-{next}.lua"));
        let text = format!(
            "wrk.method='POST'\nwrk.body='{body}'\n\
             wrk.headers['authorization']='Bearer {TOKEN}'\n\
             wrk.headers['content-type']='application/json'\n\
             wrk.headers['upstash-encoding']='base64'\n"
        );
        std::fs::write(&script, text)
            .map_err(|error| Failure::new(format!("no script for wrk: {error}")))?;
        let url = url.to_owned();
        Ok(Some(Self {
            script,
            url,
            connections,
        }))
    }

    /// Requests a second; `wrk` counts in whole seconds.
    pub(crate) fn rate(&mut self, time: Duration) -> Result<f64, Failure> {
        let seconds = time.as_secs_f64().ceil();
        let output = Command::new("wrk")
            .args(["-t1", &format!("-c{}", self.connections)])
            .args([&format!("-d{seconds}s"), "-s"])
            .args([self.script.as_os_str(), self.url.as_ref()])
            .output()
            .map_err(|error| Failure::new(format!("wrk failed: {error}")))?;
        requests(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| Failure::new("wrk printed no rate"))
    }
}

fn requests(text: &str) -> Option<f64> {
    let rest = text.split("Requests/sec:").nth(1)?;
    rest.split_whitespace().next()?.parse().ok()
}

impl Drop for Wrk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.script);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_rate_is_read() {
        let text = "  12 requests in 1.00s\nRequests/sec:  15145.03\nTransfer/sec: 1MB\n";
        assert_eq!(requests(text), Some(15145.03));
        assert_eq!(requests("unable to connect"), None);
    }
}

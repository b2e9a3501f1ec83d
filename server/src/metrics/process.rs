//! What the system tells about this process.

/// Bytes of memory that are resident, where `/proc` tells.
pub(super) fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// Seconds of processor time: in user code, in the system.
pub(super) fn cpu_seconds() -> Option<(f64, f64)> {
    /// Ticks a second of the times in `/proc`, whatever the kernel's own clock.
    const USER_HZ: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name before it may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / USER_HZ);
    Some((seconds()?, seconds()?))
}

//! The format of a log file, version 1.
//!
//! A header: eight magic bytes, the version (u32), the generation (u64), and a check of these
//! (u32). Then records, one a transaction: the length of its payload (u64), the XXH3 of the payload
//! (u64), a check of these two that depends on the generation (u32), the payload. All numbers are
//! little endian; a check is the lower half of an XXH3.
//!
//! The check of its own lets a reader tell a damaged length from a record that ends early, and find
//! the next whole record behind a damaged one.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: &[u8; 8] = b"RESTISLG";
const VERSION: u32 = 1;
/// Bytes before the first record.
pub(super) const HEADER: usize = 24;
/// Bytes of a record before its payload.
const PREFIX: usize = 20;
/// What is seeded differently from any generation.
const HEADER_SEED: u64 = u64::MAX;

/// The first bytes of a log file.
pub(super) fn header(generation: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&generation.to_le_bytes());
    let check = check(&header[..20], HEADER_SEED);
    header[20..].copy_from_slice(&check.to_le_bytes());
    header
}

/// Appends a record of the log with this generation.
pub(super) fn append_record(out: &mut Vec<u8>, generation: u64, payload: &[u8]) {
    out.reserve(PREFIX + payload.len());
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    out.extend_from_slice(&xxh3_64(payload).to_le_bytes());
    let check = check(&out[start..], generation);
    out.extend_from_slice(&check.to_le_bytes());
    out.extend_from_slice(payload);
}

fn check(bytes: &[u8], seed: u64) -> u32 {
    xxh3_64_with_seed(bytes, seed) as u32
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

/// Length and sum of the payload of a record; `None`: no record begins here.
fn prefix(bytes: &[u8], generation: u64) -> Option<(u64, u64)> {
    let bytes = bytes.get(..PREFIX)?;
    let stored = u32::from_le_bytes(bytes[16..].try_into().ok()?);
    (stored == check(&bytes[..16], generation))
        .then(|| Some((number(bytes)?, number(&bytes[8..])?)))
        .flatten()
}

/// Why a file is not the log that it should be.
#[derive(Debug)]
pub(super) enum HeaderError {
    Io(io::Error),
    /// The file is shorter than a header.
    Torn,
    /// The header was changed, or the file is something else.
    Damaged,
    /// It was written by a newer version of this software.
    Version(u32),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "reading the log failed: {error}"),
            Self::Torn => f.write_str("the header of the log ends early"),
            Self::Damaged => f.write_str("the header of the log is damaged"),
            Self::Version(version) => write!(
                f,
                "the log has format version {version}, which is newer than this software"
            ),
        }
    }
}

/// What stands next in a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The payload of a whole record.
    Record(Vec<u8>),
    /// The file ends after a whole record.
    End,
    /// No whole record begins at `at`.
    Broken {
        at: u64,
        /// Where the next whole record begins, if there is one.
        resume: Option<u64>,
    },
}

/// Reads a log record by record.
#[derive(Debug)]
pub(super) struct LogReader<R> {
    input: R,
    generation: u64,
    len: u64,
    at: u64,
    record_at: u64,
}

impl<R: Read + Seek> LogReader<R> {
    /// Begins after the header, which must be that of the generation.
    pub(super) fn open(input: R, generation: u64) -> Result<Self, HeaderError> {
        let mut reader = Self::after_header(input, generation).map_err(HeaderError::Io)?;
        if reader.len < HEADER as u64 {
            return Err(HeaderError::Torn);
        }
        let mut found = [0; HEADER];
        reader.input.rewind().map_err(HeaderError::Io)?;
        reader
            .input
            .read_exact(&mut found)
            .map_err(HeaderError::Io)?;
        if found == header(generation) {
            return Ok(reader);
        }
        let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
        let check = check(&found[..20], HEADER_SEED).to_le_bytes();
        if found.starts_with(MAGIC) && version > VERSION && found[20..] == check {
            return Err(HeaderError::Version(version));
        }
        Err(HeaderError::Damaged)
    }

    /// Begins after the header, whatever it says.
    pub(super) fn after_header(mut input: R, generation: u64) -> io::Result<Self> {
        let len = input.seek(SeekFrom::End(0))?;
        let at = len.min(HEADER as u64);
        input.seek(SeekFrom::Start(at))?;
        Ok(Self {
            input,
            generation,
            len,
            at,
            record_at: at,
        })
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where the record begins that was read last.
    pub(super) fn record_at(&self) -> u64 {
        self.record_at
    }

    /// Reads what comes next.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let left = self.len - self.at;
        if left == 0 {
            return Ok(Next::End);
        }
        if left < PREFIX as u64 {
            return self.broken();
        }
        let mut head = [0; PREFIX];
        self.input.read_exact(&mut head)?;
        let Some((length, sum)) = prefix(&head, self.generation) else {
            return self.broken();
        };
        if length > left - PREFIX as u64 {
            return self.broken();
        }
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.input.read_exact(&mut payload)?;
        if xxh3_64(&payload) != sum {
            return self.broken();
        }
        self.record_at = self.at;
        self.at += PREFIX as u64 + length;
        Ok(Next::Record(payload))
    }

    /// Goes on at the record that [`Next::Broken`] told.
    pub(super) fn resume(&mut self, at: u64) -> io::Result<()> {
        self.at = self.input.seek(SeekFrom::Start(at.min(self.len)))?;
        Ok(())
    }

    /// Looks for a whole record behind this place.
    fn broken(&mut self) -> io::Result<Next> {
        let at = self.at;
        self.input.seek(SeekFrom::Start(at))?;
        let mut rest = Vec::new();
        self.input.read_to_end(&mut rest)?;
        let whole = |from: &usize| {
            let Some((length, sum)) = prefix(&rest[*from..], self.generation) else {
                return false;
            };
            let payload = &rest[from + PREFIX..];
            let payload = usize::try_from(length).ok().and_then(|n| payload.get(..n));
            payload.is_some_and(|payload| xxh3_64(payload) == sum)
        };
        let resume = (1..rest.len()).find(whole);
        Ok(Next::Broken {
            at,
            resume: resume.map(|from| at + from as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Cursor;

    const GENERATION: u64 = 7;

    fn payloads() -> Vec<Vec<u8>> {
        let mut payloads: Vec<Vec<u8>> = (0..6u8).map(|n| vec![n; usize::from(n) * 5]).collect();
        payloads.push(b"SET greeting hello".to_vec());
        payloads
    }

    /// A small log, and where its records end.
    fn log() -> (Vec<u8>, Vec<usize>) {
        let mut log = header(GENERATION).to_vec();
        let mut ends = vec![log.len()];
        for payload in payloads() {
            append_record(&mut log, GENERATION, &payload);
            ends.push(log.len());
        }
        (log, ends)
    }

    fn read(log: &[u8]) -> Result<(Vec<Vec<u8>>, Next), HeaderError> {
        let mut reader = LogReader::open(Cursor::new(log), GENERATION)?;
        let mut records = Vec::new();
        loop {
            match reader.next().map_err(HeaderError::Io)? {
                Next::Record(payload) => records.push(payload),
                end => return Ok((records, end)),
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let (log, _) = log();
        assert_eq!(read(&log).unwrap(), (payloads(), Next::End));
    }

    #[test]
    fn a_log_cut_anywhere_keeps_the_whole_records_before_the_cut() {
        let (log, ends) = log();
        for cut in 0..log.len() {
            let Ok((records, end)) = read(&log[..cut]) else {
                assert!(cut < HEADER, "{cut}");
                continue;
            };
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(records, payloads()[..whole], "{cut}");
            let expected = match ends.contains(&cut) {
                true => Next::End,
                false => Next::Broken {
                    at: ends[whole] as u64,
                    resume: None,
                },
            };
            assert_eq!(end, expected, "{cut}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_what_follows_is_found() {
        let (log, ends) = log();
        let last = ends.len() - 2;
        for at in 0..log.len() {
            for bit in 0..8 {
                let mut log = log.clone();
                log[at] ^= 1 << bit;
                let Ok((records, end)) = read(&log) else {
                    assert!(at < HEADER, "{at}");
                    continue;
                };
                let before = ends.iter().filter(|end| **end <= at).count() - 1;
                assert_eq!(records, payloads()[..before], "{at}");
                let resume = (before < last).then(|| ends[before + 1] as u64);
                let at_start = ends[before] as u64;
                assert_eq!(
                    end,
                    Next::Broken {
                        at: at_start,
                        resume
                    },
                    "{at}"
                );
            }
        }
    }

    #[test]
    fn reading_goes_on_behind_damage() {
        let (mut log, ends) = log();
        log[ends[2] + 1] ^= 1;
        let mut reader = LogReader::open(Cursor::new(&log[..]), GENERATION).unwrap();
        let mut records = Vec::new();
        loop {
            match reader.next().unwrap() {
                Next::Record(payload) => records.push(payload),
                Next::Broken {
                    resume: Some(at), ..
                } => reader.resume(at).unwrap(),
                _ => break,
            }
        }
        let mut expected = payloads();
        expected.remove(2);
        assert_eq!(records, expected);
    }

    #[test]
    fn records_of_another_generation_do_not_count() {
        let mut log = header(GENERATION).to_vec();
        append_record(&mut log, GENERATION - 1, b"old");
        let (records, end) = read(&log).unwrap();
        assert!(records.is_empty());
        let at = HEADER as u64;
        assert_eq!(end, Next::Broken { at, resume: None });
        let foreign = [
            &b"REDIS0011\xfa\x09redis-ver and more"[..],
            &header(GENERATION - 1),
        ];
        for bytes in foreign {
            assert!(matches!(read(bytes), Err(HeaderError::Damaged)));
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut newer = header(GENERATION);
        newer[8..12].copy_from_slice(&9u32.to_le_bytes());
        let sum = check(&newer[..20], HEADER_SEED);
        newer[20..].copy_from_slice(&sum.to_le_bytes());
        assert!(matches!(read(&newer), Err(HeaderError::Version(9))));
    }
}

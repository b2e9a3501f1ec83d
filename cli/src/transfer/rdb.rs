//! RDB files of Redis, as the lines of an export.
//!
//! The file is cut into keys here; the engine decodes their values, as `RESTORE` does.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, PipeReader, Read, Write};
use std::path::Path;
use std::thread::JoinHandle;

use crc::{CRC_64_REDIS, Crc, Digest, Table};
use restis::{Redis, Reply};

use super::record::{End, Header, Line, VERSION};
use super::{runtime, source};

/// What an RDB file begins with.
const MAGIC: &[u8] = b"REDIS";
/// Versions of Redis 7.0 to 7.4 and of 8.
const VERSIONS: std::ops::RangeInclusive<u16> = 10..=13;
/// The largest value of Redis.
const MOST_BYTES: u64 = 512 * 1024 * 1024;
static CRC: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_REDIS);

/// Whether a file is one.
pub(super) fn is_rdb(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

/// The keys of one database of a file, as lines.
pub(super) fn lines(path: &Path, database: u64) -> io::Result<Converted> {
    let file = File::open(path)?;
    let (reader, writer) = io::pipe()?;
    let thread = std::thread::spawn(move || {
        let mut writer = BufWriter::new(writer);
        convert(BufReader::new(file), database, &mut writer)?;
        writer.flush().map_err(|error| error.to_string())
    });
    Ok(Converted {
        reader: BufReader::new(reader),
        thread: Some(thread),
    })
}

/// Reads what another thread converts.
pub(super) struct Converted {
    reader: BufReader<PipeReader>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Read for Converted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Converted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.reader.fill_buf()?.is_empty()
            && let Some(thread) = self.thread.take()
        {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err("the reader failed".to_owned()));
            ended.map_err(io::Error::other)?;
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

fn convert(input: impl Read, database: u64, out: &mut impl Write) -> Result<(), String> {
    let mut rdb = Rdb::open(input)?;
    let header = Header {
        version: VERSION,
        id: "rdb".to_owned(),
        at: 0,
        pattern: None,
    };
    write(&Line::Export(header), out)?;
    let runtime = runtime().map_err(|_| "no event loop".to_owned())?;
    let redis = restis::testing::redis();
    let mut end = End::default();
    while let Some(key) = rdb.next()? {
        if key.database == database {
            runtime.block_on(one(&redis, &key, &mut end, out))?;
        }
    }
    write(&Line::End(end), out)
}

fn write(line: &Line, out: &mut impl Write) -> Result<(), String> {
    line.write(out).map_err(|error| error.to_string())?;
    Ok(())
}

/// Restores a key and reads it as an export does.
async fn one(redis: &Redis, key: &Key, end: &mut End, out: &mut impl Write) -> Result<(), String> {
    let shown = key.name.escape_ascii();
    let failed = |error: restis::Error| format!("`{}`: {error}", key.name.escape_ascii());
    let restore = redis
        .command("RESTORE")
        .arg(&key.name)
        .arg(0)
        .arg(&key.payload);
    let restored = restore.query::<Reply>().await;
    restored.map_err(|_| format!("`{shown}` has a form that is not known"))?;
    let found = source::keys(redis, vec![key.name.clone()])
        .await
        .map_err(failed)?;
    for found in &found {
        let mut reader = found.reader(redis);
        while let Some(mut record) = reader.next().await.map_err(failed)? {
            record.x = key.expires;
            end.records += 1;
            end.keys += u64::from(!record.more);
            write(&Line::Key(record), out)?;
        }
    }
    let delete = redis.command("DEL").arg(&key.name);
    delete.query::<Reply>().await.map_err(failed)?;
    Ok(())
}

/// A key of the file.
#[derive(Debug)]
struct Key {
    database: u64,
    name: Vec<u8>,
    /// Unix ms.
    expires: Option<u64>,
    /// What `RESTORE` takes.
    payload: Vec<u8>,
}

/// Reads a file; every byte goes into its checksum.
struct Rdb<R> {
    input: R,
    digest: Digest<'static, u64, Table<1>>,
    version: u16,
    database: u64,
}

impl<R: Read> Rdb<R> {
    fn open(input: R) -> Result<Self, String> {
        let mut rdb = Self {
            input,
            digest: CRC.digest(),
            version: 0,
            database: 0,
        };
        let start = rdb.take(9)?;
        let version = start
            .strip_prefix(MAGIC)
            .and_then(|v| std::str::from_utf8(v).ok());
        rdb.version = version.and_then(|v| v.parse().ok()).unwrap_or(0);
        match VERSIONS.contains(&rdb.version) {
            true => Ok(rdb),
            false => Err(format!(
                "this RDB file is of version {}; those of Redis 7 and 8 are read",
                rdb.version
            )),
        }
    }

    /// The next key; `None` at the end of a file whose checksum is right.
    fn next(&mut self) -> Result<Option<Key>, String> {
        let mut expires = None;
        loop {
            match self.byte()? {
                // Notes of the server, and functions.
                0xfa => {
                    self.string()?;
                    self.string()?;
                }
                0xf5 => drop(self.string()?),
                0xf7 => self.module()?,
                0xfb => {
                    self.number()?;
                    self.number()?;
                }
                0xf4 => {
                    for _ in 0..3 {
                        self.number()?;
                    }
                }
                0xfe => self.database = self.number()?,
                0xfc => expires = Some(u64::from_le_bytes(self.array()?)),
                0xfd => expires = Some(u64::from(u32::from_le_bytes(self.array()?)) * 1000),
                0xf8 => drop(self.number()?),
                0xf9 => drop(self.byte()?),
                0xff => return self.end().map(|()| None),
                kind => {
                    let name = self.name()?;
                    let payload = self.payload(kind, &name)?;
                    return Ok(Some(Key {
                        database: self.database,
                        name,
                        expires,
                        payload,
                    }));
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), String> {
        let sum = self.digest.clone().finalize();
        let written = u64::from_le_bytes(self.array()?);
        // Zero: it was switched off.
        match written == 0 || written == sum {
            true => Ok(()),
            false => Err("the checksum of the RDB file is wrong".to_owned()),
        }
    }

    fn take(&mut self, count: u64) -> Result<Vec<u8>, String> {
        if count > MOST_BYTES {
            return Err("a value has more than 512 MB".to_owned());
        }
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(count).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        if bytes.len() as u64 != count {
            return Err("the RDB file is cut off".to_owned());
        }
        self.digest.update(&bytes);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N as u64)?;
        bytes
            .try_into()
            .map_err(|_| "the RDB file is cut off".to_owned())
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    /// A length or the number of a special encoding, and its bytes.
    fn length(&mut self) -> Result<(u64, bool, Vec<u8>), String> {
        let first = self.byte()?;
        let more = match first {
            0..=0x3f | 0xc0..=0xff => Vec::new(),
            0x40..=0x7f => self.take(1)?,
            0x80 => self.take(4)?,
            0x81 => self.take(8)?,
            _ => return Err("the RDB file is damaged".to_owned()),
        };
        let start = if matches!(first, 0x80 | 0x81) {
            0
        } else {
            first & 0x3f
        };
        let number = more
            .iter()
            .fold(u64::from(start), |n, byte| (n << 8) | u64::from(*byte));
        let mut bytes = vec![first];
        bytes.extend(more);
        Ok((number, first >= 0xc0, bytes))
    }

    fn number(&mut self) -> Result<u64, String> {
        match self.length()? {
            (number, false, _) => Ok(number),
            _ => Err("the RDB file is damaged".to_owned()),
        }
    }

    /// The bytes of a string as it is written.
    fn string(&mut self) -> Result<Vec<u8>, String> {
        let (number, encoded, mut bytes) = self.length()?;
        let length = match (number, encoded) {
            (length, false) => length,
            (0, true) => 1,
            (1, true) => 2,
            (2, true) => 4,
            (3, true) => {
                let (packed, _, written) = self.length()?;
                bytes.extend(written);
                let (_, _, written) = self.length()?;
                bytes.extend(written);
                packed
            }
            _ => return Err("the RDB file is damaged".to_owned()),
        };
        bytes.extend(self.take(length)?);
        Ok(bytes)
    }

    /// A key's name: numbers as their digits, what is compressed unfolded by the engine.
    fn name(&mut self) -> Result<Vec<u8>, String> {
        let written = self.string()?;
        unfolded(&written).ok_or_else(|| "the RDB file is damaged".to_owned())
    }

    fn copy_number(&mut self, out: &mut Vec<u8>) -> Result<u64, String> {
        let (number, encoded, bytes) = self.length()?;
        out.extend(bytes);
        match encoded {
            false => Ok(number),
            true => Err("the RDB file is damaged".to_owned()),
        }
    }

    /// A value, whose end is where its form says, with the footer of `DUMP`.
    fn payload(&mut self, kind: u8, name: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = vec![kind];
        match kind {
            // A string, intset or listpack.
            0 | 11 | 16 | 17 | 20 => out.extend(self.string()?),
            // A list or set of strings.
            1 | 2 => self.strings(1, &mut out)?,
            4 => self.strings(2, &mut out)?,
            3 | 5 => {
                for _ in 0..self.copy_number(&mut out)? {
                    out.extend(self.string()?);
                    if kind == 5 {
                        out.extend(self.take(8)?);
                        continue;
                    }
                    let length = self.byte()?;
                    out.push(length);
                    // Longer ones stand for infinities.
                    if length < 253 {
                        out.extend(self.take(length.into())?);
                    }
                }
            }
            18 => {
                for _ in 0..self.copy_number(&mut out)? {
                    self.copy_number(&mut out)?;
                    out.extend(self.string()?);
                }
            }
            24 => {
                out.extend(self.take(8)?);
                for _ in 0..self.copy_number(&mut out)? {
                    self.copy_number(&mut out)?;
                    out.extend(self.string()?);
                    out.extend(self.string()?);
                }
            }
            25 => {
                out.extend(self.take(8)?);
                out.extend(self.string()?);
            }
            15 | 19 | 21 => self.stream(kind, &mut out)?,
            _ => {
                return Err(format!(
                    "`{}` has the type {kind} of RDB files, of a module or an older Redis, which is \
                     not read",
                    name.escape_ascii()
                ));
            }
        }
        out.extend(self.version.to_le_bytes());
        // No checksum: the file has one.
        out.extend([0; 8]);
        Ok(out)
    }

    fn strings(&mut self, each: u64, out: &mut Vec<u8>) -> Result<(), String> {
        for _ in 0..self.copy_number(out)?.saturating_mul(each) {
            out.extend(self.string()?);
        }
        Ok(())
    }

    fn stream(&mut self, kind: u8, out: &mut Vec<u8>) -> Result<(), String> {
        self.strings(2, out)?;
        let numbers = if kind == 15 { 3 } else { 8 };
        for _ in 0..numbers {
            self.copy_number(out)?;
        }
        for _ in 0..self.copy_number(out)? {
            out.extend(self.string()?);
            for _ in 0..if kind == 15 { 2 } else { 3 } {
                self.copy_number(out)?;
            }
            for _ in 0..self.copy_number(out)? {
                out.extend(self.take(16 + 8)?);
                self.copy_number(out)?;
            }
            for _ in 0..self.copy_number(out)? {
                out.extend(self.string()?);
                out.extend(self.take(if kind == 21 { 16 } else { 8 })?);
                for _ in 0..self.copy_number(out)? {
                    out.extend(self.take(16)?);
                }
            }
        }
        Ok(())
    }

    /// Passes over what a module has written.
    fn module(&mut self) -> Result<(), String> {
        self.number()?;
        loop {
            match self.number()? {
                0 => return Ok(()),
                1 | 2 => drop(self.number()?),
                3 => drop(self.take(4)?),
                4 => drop(self.take(8)?),
                5 => drop(self.string()?),
                _ => return Err("the RDB file is damaged".to_owned()),
            }
        }
    }
}

/// The bytes of a string that is written as a number, compressed or as it is.
fn unfolded(written: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = written.split_first()?;
    Some(match first {
        0xc0 => i8::from_le_bytes(rest.try_into().ok()?)
            .to_string()
            .into_bytes(),
        0xc1 => i16::from_le_bytes(rest.try_into().ok()?)
            .to_string()
            .into_bytes(),
        0xc2 => i32::from_le_bytes(rest.try_into().ok()?)
            .to_string()
            .into_bytes(),
        0xc3 => return decompressed(rest),
        0..=0x3f => rest.to_vec(),
        0x40..=0x7f => rest.get(1..)?.to_vec(),
        0x80 => rest.get(4..)?.to_vec(),
        0x81 => rest.get(8..)?.to_vec(),
        _ => return None,
    })
}

/// What LZF makes of two lengths and the bytes behind them.
fn decompressed(written: &[u8]) -> Option<Vec<u8>> {
    let mut rest = written;
    let mut number = || {
        let (first, more) = rest.split_first()?;
        let (start, count) = match first {
            0..=0x3f => (first & 0x3f, 0),
            0x40..=0x7f => (first & 0x3f, 1),
            0x80 => (0, 4),
            _ => return None,
        };
        let (bytes, more) = more.split_at_checked(count)?;
        rest = more;
        Some(
            bytes
                .iter()
                .fold(usize::from(start), |n, byte| (n << 8) | usize::from(*byte)),
        )
    };
    let (_, length) = (number()?, number()?);
    let mut out: Vec<u8> = Vec::new();
    while let Some((control, more)) = rest.split_first() {
        let control = usize::from(*control);
        if control < 32 {
            let (bytes, more) = more.split_at_checked(control + 1)?;
            out.extend_from_slice(bytes);
            rest = more;
            continue;
        }
        let mut count = control >> 5;
        let mut more = more;
        if count == 7 {
            let (extra, behind) = more.split_first()?;
            count += usize::from(*extra);
            more = behind;
        }
        let (low, behind) = more.split_first()?;
        rest = behind;
        let back = ((control & 31) << 8 | usize::from(*low)) + 1;
        let start = out.len().checked_sub(back)?;
        for at in start..start + count + 2 {
            out.push(*out.get(at)?);
        }
    }
    (out.len() == length).then_some(out)
}

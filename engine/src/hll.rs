//! HyperLogLog in Redis' own byte layout, sparse and dense.
//!
//! A value is an ordinary string: a 16-byte header (`HYLL`, encoding, cached cardinality) and
//! 16384 registers of 6 bits, packed (dense) or run-length encoded (sparse).

const REGISTERS: usize = 1 << 14;
const INDEX_BITS: u32 = 14;
const HASH_BITS: u32 = 64 - INDEX_BITS;
const HEADER: usize = 16;
const DENSE_SIZE: usize = HEADER + REGISTERS * 6 / 8;
/// The most bytes a counter takes.
pub(crate) const MOST_BYTES: usize = DENSE_SIZE;
/// Above this size a sparse value becomes dense (Redis' `hll-sparse-max-bytes`).
const SPARSE_MAX: usize = 3000;
/// The largest register a sparse value can hold.
const SPARSE_VALUE_MAX: u8 = 32;

/// 1 / (2 ln 2)
const ALPHA_INF: f64 = 0.721_347_520_444_481_7;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// Why a string is no HyperLogLog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HllError {
    /// Some other string.
    NotHll,
    /// Right header, wrong content.
    Corrupted,
}

type Result<T> = std::result::Result<T, HllError>;

/// All registers, one byte each: the union of any number of values.
pub(crate) struct Union(Box<[u8; REGISTERS]>);

/// An empty value.
pub(crate) fn empty() -> Vec<u8> {
    let mut value = header(SPARSE);
    push_run(&mut value, 0, REGISTERS);
    value
}

/// Checks header and size.
pub(crate) fn check(value: &[u8]) -> Result<()> {
    match (value.get(..4), value.get(4)) {
        (Some(b"HYLL"), Some(&DENSE)) if value.len() == DENSE_SIZE => Ok(()),
        (Some(b"HYLL"), Some(&SPARSE)) if value.len() >= HEADER => Ok(()),
        _ => Err(HllError::NotHll),
    }
}

/// Adds an element; `true` if the estimate may have changed.
pub(crate) fn add(value: &mut Vec<u8>, element: &[u8]) -> Result<bool> {
    check(value)?;
    let hash = murmur64a(element, 0xadc8_3b19);
    let index = (hash as usize) & (REGISTERS - 1);
    // A sentinel bit bounds the count of zeros.
    let rank = ((hash >> INDEX_BITS) | 1 << HASH_BITS).trailing_zeros() as u8 + 1;
    let changed = if is_dense(value) {
        set_dense(value, index, rank)
    } else if let Some(changed) = set_sparse(value, index, rank)? {
        changed
    } else {
        let mut union = Union::default();
        union.merge(value)?;
        let mut dense = union.encode(true);
        // The cached count stays what it was, as in Redis.
        dense[8..HEADER].copy_from_slice(&value[8..HEADER]);
        *value = dense;
        set_dense(value, index, rank)
    };
    if changed {
        set_cache(value, None);
    }
    Ok(changed)
}

/// The cached cardinality, if it is valid.
pub(crate) fn cached(value: &[u8]) -> Option<u64> {
    let card: [u8; 8] = value.get(8..HEADER)?.try_into().ok()?;
    (card[7] & 0x80 == 0).then(|| u64::from_le_bytes(card))
}

/// Stores or invalidates the cached cardinality.
pub(crate) fn set_cache(value: &mut [u8], card: Option<u64>) {
    if let Some(field) = value.get_mut(8..HEADER) {
        match card {
            Some(card) => field.copy_from_slice(&card.to_le_bytes()),
            None => field[7] |= 0x80,
        }
    }
}

/// Copies the cached cardinality, valid or not, of another value.
pub(crate) fn copy_cache(value: &mut [u8], from: &[u8]) {
    if let (Some(field), Some(cache)) = (value.get_mut(8..HEADER), from.get(8..HEADER)) {
        field.copy_from_slice(cache);
    }
}

pub(crate) fn is_dense(value: &[u8]) -> bool {
    value.get(4) == Some(&DENSE)
}

impl Default for Union {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Union {
    /// Takes the larger of each pair of registers.
    pub(crate) fn merge(&mut self, value: &[u8]) -> Result<()> {
        check(value)?;
        if is_dense(value) {
            for (index, register) in self.0.iter_mut().enumerate() {
                *register = (*register).max(get_dense(value, index));
            }
            return Ok(());
        }
        let mut at = 0;
        let mut rest = value.get(HEADER..).unwrap_or_default();
        while !rest.is_empty() {
            let run = Run::parse(rest).ok_or(HllError::Corrupted)?;
            let registers = self
                .0
                .get_mut(at..at + run.len)
                .ok_or(HllError::Corrupted)?;
            if run.value > 0 {
                for register in registers {
                    *register = (*register).max(run.value);
                }
            }
            at += run.len;
            rest = rest.get(run.bytes..).unwrap_or_default();
        }
        if at == REGISTERS {
            Ok(())
        } else {
            Err(HllError::Corrupted)
        }
    }

    /// Every register.
    pub(crate) fn registers(&self) -> &[u8] {
        &*self.0
    }

    /// The estimated number of distinct elements (Ertl 2017, as in Redis since 5.0).
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = [0u32; 64];
        for &register in self.0.iter() {
            histogram[usize::from(register & 63)] += 1;
        }
        let m = REGISTERS as f64;
        let q = HASH_BITS as usize;
        let mut z = m * tau((m - f64::from(histogram[q + 1])) / m);
        for &n in histogram[1..=q].iter().rev() {
            z = (z + f64::from(n)) * 0.5;
        }
        z += m * sigma(f64::from(histogram[0]) / m);
        (ALPHA_INF * m * m / z).round() as u64
    }

    /// The value that holds these registers; sparse only if that is possible.
    pub(crate) fn encode(&self, dense: bool) -> Vec<u8> {
        if !dense && let Some(value) = self.encode_sparse() {
            return value;
        }
        let mut value = header(DENSE);
        value.resize(DENSE_SIZE, 0);
        for (index, &register) in self.0.iter().enumerate() {
            set_dense(&mut value, index, register);
        }
        set_cache(&mut value, None);
        value
    }

    fn encode_sparse(&self) -> Option<Vec<u8>> {
        let mut value = header(SPARSE);
        for run in self.0.chunk_by(|a, b| a == b) {
            let register = *run.first()?;
            if register > SPARSE_VALUE_MAX {
                return None;
            }
            push_run(&mut value, register, run.len());
        }
        set_cache(&mut value, None);
        (value.len() <= SPARSE_MAX).then_some(value)
    }
}

/// One opcode of the sparse encoding.
#[derive(Debug, Clone, Copy)]
struct Run {
    value: u8,
    len: usize,
    bytes: usize,
}

impl Run {
    fn parse(code: &[u8]) -> Option<Self> {
        let first = *code.first()?;
        Some(match first >> 6 {
            0 => Self {
                value: 0,
                len: usize::from(first & 0x3f) + 1,
                bytes: 1,
            },
            1 => {
                let len = usize::from(first & 0x3f) << 8 | usize::from(*code.get(1)?);
                Self {
                    value: 0,
                    len: len + 1,
                    bytes: 2,
                }
            }
            _ => Self {
                value: (first >> 2 & 0x1f) + 1,
                len: usize::from(first & 3) + 1,
                bytes: 1,
            },
        })
    }
}

/// Appends the opcodes of a run of equal registers.
fn push_run(code: &mut Vec<u8>, value: u8, mut len: usize) {
    while len > 0 {
        let taken = if value > 0 {
            let taken = len.min(4);
            code.push(0x80 | (value - 1) << 2 | (taken - 1) as u8);
            taken
        } else if len <= 64 {
            code.push((len - 1) as u8);
            len
        } else {
            let taken = len.min(REGISTERS);
            code.push(0x40 | ((taken - 1) >> 8) as u8);
            code.push((taken - 1) as u8);
            taken
        };
        len -= taken;
    }
}

/// Raises one register; `None` if the value has to become dense for that.
fn set_sparse(value: &mut Vec<u8>, index: usize, rank: u8) -> Result<Option<bool>> {
    if rank > SPARSE_VALUE_MAX {
        return Ok(None);
    }
    let (mut at, mut first, mut previous) = (HEADER, 0, HEADER);
    let run = loop {
        let run = value
            .get(at..)
            .and_then(Run::parse)
            .ok_or(HllError::Corrupted)?;
        if index < first + run.len {
            break run;
        }
        first += run.len;
        previous = at;
        at += run.bytes;
    };
    if run.value >= rank {
        return Ok(Some(false));
    }
    let mut code = Vec::with_capacity(8);
    push_run(&mut code, run.value, index - first);
    push_run(&mut code, rank, 1);
    push_run(&mut code, run.value, first + run.len - index - 1);
    if code.len() > run.bytes && value.len() + code.len() - run.bytes > SPARSE_MAX {
        return Ok(None);
    }
    value.splice(at..at + run.bytes, code);
    merge_runs(value, previous);
    Ok(Some(true))
}

/// Joins equal neighbours near `at`, where a run was just split.
fn merge_runs(value: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some(run) = value.get(at..).and_then(Run::parse) else {
            return;
        };
        let next = value.get(at + run.bytes..).and_then(Run::parse);
        match next {
            Some(next) if run.value > 0 && next.value == run.value && run.len + next.len <= 4 => {
                value.remove(at);
                if let Some(code) = value.get_mut(at) {
                    *code = 0x80 | (run.value - 1) << 2 | (run.len + next.len - 1) as u8;
                }
            }
            _ => at += run.bytes,
        }
    }
}

fn get_dense(value: &[u8], index: usize) -> u8 {
    let bit = index * 6;
    let at = HEADER + bit / 8;
    let low = value.get(at).copied().unwrap_or(0);
    let high = value.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([low, high]) >> (bit % 8)) as u8 & 0x3f
}

/// Raises one register; `false` if it is high enough.
fn set_dense(value: &mut [u8], index: usize, rank: u8) -> bool {
    if get_dense(value, index) >= rank {
        return false;
    }
    let bit = index * 6;
    let at = HEADER + bit / 8;
    let mask = (0x3f_u16 << (bit % 8)).to_le_bytes();
    let bits = (u16::from(rank) << (bit % 8)).to_le_bytes();
    for i in 0..2 {
        // The last register ends exactly at the last byte: there the second byte has no bits.
        if let Some(byte) = value.get_mut(at + i) {
            *byte = *byte & !mask[i] | bits[i];
        }
    }
    true
}

fn header(encoding: u8) -> Vec<u8> {
    let mut value = vec![0; HEADER];
    value[..4].copy_from_slice(b"HYLL");
    value[4] = encoding;
    value
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn murmur64a(data: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = seed ^ (data.len() as u64).wrapping_mul(M);
    let (words, tail) = data.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ k >> 47).wrapping_mul(M);
        hash = (hash ^ k).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(value: &[u8]) -> u64 {
        let mut union = Union::default();
        union.merge(value).unwrap();
        union.count()
    }

    fn filled(range: std::ops::Range<u32>) -> Vec<u8> {
        let mut value = empty();
        for i in range {
            add(&mut value, format!("element:{i}").as_bytes()).unwrap();
        }
        value
    }

    #[test]
    fn an_empty_value_has_the_bytes_redis_writes() {
        assert_eq!(empty(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert_eq!(cached(&empty()), Some(0));
        assert_eq!(count(&empty()), 0);
    }

    #[test]
    fn estimates_are_within_two_percent_sparse_and_dense() {
        for n in [10u32, 100, 1000, 10_000, 100_000] {
            let estimate = count(&filled(0..n)) as f64;
            assert!(
                (estimate - f64::from(n)).abs() / f64::from(n) < 0.02,
                "{n}: {estimate}"
            );
        }
        assert!(!is_dense(&filled(0..1000)));
        assert!(is_dense(&filled(0..10_000)));
    }

    #[test]
    fn adding_twice_changes_nothing_and_the_cache_is_dropped_on_change() {
        let mut value = filled(0..50);
        set_cache(&mut value, Some(50));
        assert_eq!(add(&mut value, b"element:7"), Ok(false));
        assert_eq!(cached(&value), Some(50));
        assert_eq!(add(&mut value, b"a new one"), Ok(true));
        assert_eq!(cached(&value), None);
    }

    #[test]
    fn a_union_counts_what_is_in_either() {
        let (a, b) = (filled(0..6000), filled(5000..5300));
        let mut union = Union::default();
        union.merge(&a).unwrap();
        union.merge(&b).unwrap();
        assert_eq!(union.count(), count(&a));
        assert_eq!(count(&union.encode(true)), count(&a));
        assert_eq!(
            count(&union.encode(false)),
            count(&a),
            "falls back to dense"
        );
    }

    #[test]
    fn foreign_and_broken_strings_are_told_apart() {
        assert_eq!(check(b"hello"), Err(HllError::NotHll));
        assert_eq!(
            check(b"HYLL\x00 too short for dense"),
            Err(HllError::NotHll)
        );
        let mut short = empty();
        short.truncate(HEADER);
        assert_eq!(add(&mut short, b"x"), Err(HllError::Corrupted));
        let mut long = empty();
        long.push(0x80);
        assert_eq!(Union::default().merge(&long), Err(HllError::Corrupted));
    }

    proptest! {
        #[test]
        fn sparse_and_dense_agree(elements in prop::collection::vec(any::<[u8; 3]>(), 0..400)) {
            let mut sparse = empty();
            let mut dense = Union::default().encode(true);
            for element in &elements {
                prop_assert_eq!(add(&mut sparse, element).unwrap(), add(&mut dense, element).unwrap());
            }
            let (mut a, mut b) = (Union::default(), Union::default());
            a.merge(&sparse).unwrap();
            b.merge(&dense).unwrap();
            prop_assert_eq!(&a.0, &b.0);
            b.merge(&a.encode(false)).unwrap();
            prop_assert_eq!(&a.0, &b.0);
        }

        #[test]
        fn no_bytes_make_it_panic(code in prop::collection::vec(any::<u8>(), 0..40), element in any::<[u8; 4]>()) {
            let mut value = header(SPARSE);
            value.extend(code);
            let _ = Union::default().merge(&value);
            let _ = add(&mut value, &element);
        }
    }
}

//! The order of terms that are found in the same number of documents.
//!
//! Upstash lists them in the order in which the hash table of its search engine holds them. Tests
//! of applications see that order, so numbers come in it here too.

/// Slots that are looked at together.
const GROUP: usize = 16;
/// Multiplier and rotation of the table's hash function, FxHash.
const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;
const ROTATION: u32 = 26;
/// What marks a floating point number among the types of terms.
const FLOAT: u64 = 3;

/// The items in the order of a hash table with these keys, added one after the other.
pub(super) fn arrange<T>(items: Vec<T>, keys: &[f64]) -> Vec<T> {
    let mut table: Vec<Option<T>> = Vec::new();
    table.resize_with(slots(items.len()), || None);
    for (item, key) in items.into_iter().zip(keys) {
        let at = free_slot(&table, hash(*key));
        if let Some(slot) = table.get_mut(at) {
            *slot = Some(item);
        }
    }
    table.into_iter().flatten().collect()
}

/// The size of a table for so many items: a power of two that stays an eighth empty.
fn slots(items: usize) -> usize {
    match items {
        0..4 => 4,
        4..8 => 8,
        8..15 => 16,
        _ => (items * 8 / 7).next_power_of_two(),
    }
}

fn hash(key: f64) -> usize {
    let fold = |hash: u64, word: u64| hash.wrapping_add(word).wrapping_mul(MULTIPLIER);
    fold(fold(0, FLOAT), key.to_bits()).rotate_left(ROTATION) as usize
}

/// The first free slot of the first group that has one.
fn free_slot<T>(table: &[Option<T>], hash: usize) -> usize {
    let mask = table.len() - 1;
    let (mut start, mut stride) = (hash & mask, 0);
    loop {
        let group = (start..start + GROUP.min(table.len())).map(|at| at & mask);
        let mut free = group.filter(|&at| table.get(at).is_some_and(Option::is_none));
        if let Some(at) = free.next() {
            return at;
        }
        stride += GROUP;
        start = (start + stride) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_come_as_upstash_lists_them() {
        let keys = [0.0, 1.0, 2.0];
        assert_eq!(arrange(keys.to_vec(), &keys), [2.0, 0.0, 1.0]);
    }

    #[test]
    fn nothing_is_lost_or_doubled() {
        for count in [0, 1, 3, 4, 7, 8, 14, 15, 28, 29, 100, 1000] {
            let keys: Vec<f64> = (0..count).map(|n| f64::from(n) / 4.0 - 50.0).collect();
            let mut arranged = arrange(keys.clone(), &keys);
            arranged.sort_by(f64::total_cmp);
            assert_eq!(arranged, keys);
        }
    }
}

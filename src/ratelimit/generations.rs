//! A bounded map that forgets who has not been asked for.

use std::collections::HashMap;

/// Two generations: what is asked for moves to the young one, and when that is full the old one
/// goes as a whole. So every step takes constant time, also while an attack fills the map, and
/// identifiers that keep coming stay known.
#[derive(Debug)]
pub(super) struct Generations<V> {
    half: usize,
    young: HashMap<Box<str>, V>,
    old: HashMap<Box<str>, V>,
}

impl<V> Generations<V> {
    /// Room for so many, two at least.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            half: (capacity / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// What is known of an identifier, which now is young.
    pub(super) fn get(&mut self, identifier: &str) -> Option<&mut V> {
        if !self.old.is_empty()
            && let Some((identifier, value)) = self.old.remove_entry(identifier)
        {
            self.insert(identifier, value);
        }
        self.young.get_mut(identifier)
    }

    /// What is known of an identifier, or what it starts with.
    pub(super) fn get_or_insert(&mut self, identifier: &str, start: impl Fn() -> V) -> &mut V {
        if self.get(identifier).is_none() {
            self.insert(identifier.into(), start());
        }
        self.young.entry(identifier.into()).or_insert_with(start)
    }

    pub(super) fn insert(&mut self, identifier: Box<str>, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(identifier, value);
    }

    pub(super) fn remove(&mut self, identifier: &str) {
        self.young.remove(identifier);
        self.old.remove(identifier);
    }

    /// Empties the map.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = (Box<str>, V)> + use<V> {
        let old = std::mem::take(&mut self.old);
        std::mem::take(&mut self.young).into_iter().chain(old)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_never_grows_beyond_its_capacity_and_keeps_who_is_asked_for() {
        for capacity in [1, 2, 15, 16] {
            let mut map = Generations::new(capacity);
            map.insert("regular".into(), 0);
            for i in 0..1000 {
                map.insert(i.to_string().into(), i);
                assert!(map.len() <= capacity.max(2), "{} of {capacity}", map.len());
                let known = map.get("regular").is_some();
                assert!(known || capacity <= 2);
            }
        }
    }
}

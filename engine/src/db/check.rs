//! Whether what the keyspace keeps about its entries is true.

use super::Db;
use super::entry::{Entry, NOT_VOLATILE};
use crate::value::Value;

impl Db {
    /// Makes a counter untrue.
    #[cfg(test)]
    pub(crate) fn forget_weight(&mut self) {
        self.used += 1;
    }

    /// Panics unless every index and counter says what the entries say.
    ///
    /// # Panics
    /// If one of them does not.
    pub(crate) fn check(&self) {
        let mut used = 0;
        let mut volatile = 0;
        let mut fields = 0;
        for (at, key, entry) in self.keys.iter() {
            assert_eq!(
                entry.weight,
                Entry::units(key, &entry.value),
                "the weight of a {}",
                entry.value.type_name()
            );
            assert!(
                !entry.value.is_empty(),
                "an empty {} is kept",
                entry.value.type_name()
            );
            used += entry.weight();
            if entry.volatile != NOT_VOLATILE {
                let place = self.volatile.get(entry.volatile as usize);
                assert_eq!(place.map(|volatile| volatile.at), Some(at));
                assert_ne!(place.map(|volatile| volatile.due), Some(0));
                volatile += 1;
            }
            let next = match &entry.value {
                Value::Hash(hash) => hash.next_expiry(),
                _ => None,
            };
            assert_eq!(self.field_expiry.get(&at).copied(), next);
            if let Some(due) = next {
                assert!(self.field_due.contains(&(due, at)));
                fields += 1;
            }
            if let Value::ZSet(zset) = &entry.value {
                assert_eq!(zset.iter().count(), zset.len());
                assert!(zset.iter().is_sorted_by(|a, b| (a.1, &*a.0) < (b.1, &*b.0)));
            }
            if let Value::List(list) = &entry.value {
                list.check();
            }
        }
        assert_eq!(self.used, used);
        assert_eq!(self.volatile.len(), volatile);
        assert_eq!(self.field_due.len(), fields);
        assert_eq!(self.field_expiry.len(), fields);
        assert!(self.touched.is_empty());
    }
}

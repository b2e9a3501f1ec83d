use std::collections::BTreeMap;

use super::*;

fn of(fields: usize, length: usize) -> Hash {
    let mut hash = Hash::default();
    for field in 0..fields {
        hash.set(format!("{field:0length$}").as_bytes(), b"v");
    }
    hash
}

#[test]
fn a_hash_grows_out_of_its_buffer_as_that_of_redis() {
    assert!(of(128, 64).is_packed());
    assert!(!of(129, 1).is_packed());
    assert!(!of(1, 65).is_packed());
    let mut hash = of(128, 1);
    hash.set(b"0", &[b'x'; 64]);
    assert!(hash.is_packed());
    hash.set(b"0", &[b'x'; 65]);
    assert!(!hash.is_packed());
    assert_eq!(hash.len(), 128);
    assert_eq!(hash.get(b"127").as_deref(), Some(&b"v"[..]));
    let mut hash = of(3, 1);
    hash.set_expiry(b"1", Some(5));
    assert_eq!(hash.expiry(b"1"), Some(5));
    assert_eq!(hash.expire(5, 10), 1);
    assert_eq!(hash.len(), 2);
}

proptest::proptest! {
    #[test]
    fn behaves_as_a_map_in_both_forms(
        steps in proptest::collection::vec((0u8..4, 0u16..160, 0usize..80), 1..500)
    ) {
        let mut hash = Hash::default();
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (what, field, size) in steps {
            let field = if size % 2 == 0 { format!("{field}") } else { format!("f{field}") };
            let field = field.into_bytes();
            if what == 0 {
                let removed = hash.remove(&field).map(|value| value.to_vec());
                proptest::prop_assert_eq!(removed, model.remove(&field));
            } else {
                let value = vec![b'0' + what; if what == 3 { size } else { size % 9 }];
                let new = hash.set(&field, &value);
                proptest::prop_assert_eq!(new, model.insert(field, value).is_none());
            }
            proptest::prop_assert_eq!(hash.len(), model.len());
        }
        let mut all: Vec<_> = hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect();
        let mut scanned = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = hash.scan(cursor, 7, |f, v| { scanned.push((f.to_vec(), v.to_vec())); true });
            if cursor == 0 { break; }
        }
        let by_position: Vec<_> = hash.all().into_iter().filter_map(|at| hash.entry(at))
            .map(|(f, v)| (f.to_vec(), v.to_vec())).collect();
        proptest::prop_assert_eq!(&all, &by_position);
        proptest::prop_assert_eq!(&all, &scanned);
        all.sort();
        proptest::prop_assert!(all.iter().map(|(f, v)| (f, v)).eq(model.iter()));
        for (field, value) in &model {
            let got = hash.get(field).map(|value| value.to_vec());
            proptest::prop_assert_eq!(got.as_ref(), Some(value));
        }
    }
}

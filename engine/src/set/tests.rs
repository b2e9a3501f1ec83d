use std::collections::BTreeSet;

use super::*;

fn of(members: impl Iterator<Item = String>) -> Set {
    let mut set = Set::default();
    members.for_each(|member| {
        set.insert(member.as_bytes());
    });
    set
}

/// The thresholds are those of Redis 7.2 and later, whose encodings OBJECT ENCODING shows.
#[test]
fn a_set_grows_out_of_its_buffer_as_that_of_redis() {
    let ints = |count: usize| of((0..count).map(|n| n.to_string()));
    let words = |count: usize| of((0..count).map(|n| format!("m{n}")));
    assert_eq!(ints(512).encoding(), "intset");
    assert_eq!(ints(513).encoding(), "hashtable");
    assert_eq!(words(128).encoding(), "listpack");
    assert_eq!(words(129).encoding(), "hashtable");
    assert_eq!(of(["x".repeat(64)].into_iter()).encoding(), "listpack");
    assert_eq!(of(["x".repeat(65)].into_iter()).encoding(), "hashtable");
    for (count, encoding) in [(127, "listpack"), (128, "hashtable")] {
        let mut set = ints(count);
        assert!(set.insert(b"word"));
        assert_eq!((set.encoding(), set.len()), (encoding, count + 1));
    }
    let mut full = ints(512);
    assert!(!full.insert(b"511"));
    assert_eq!(full.encoding(), "intset");
}

proptest::proptest! {
    #[test]
    fn behaves_as_a_set_in_every_form(
        steps in proptest::collection::vec((0u8..5, 0u16..700), 1..700),
        kind in 0u8..3,
    ) {
        let mut set = Set::default();
        let mut model: BTreeSet<Vec<u8>> = BTreeSet::new();
        for (what, member) in steps {
            let member = match kind {
                0 => format!("{member}"),
                1 => format!("m{}", member % 140),
                _ if member < 690 => format!("{}", member % 200),
                _ => format!("{member:>66}"),
            }.into_bytes();
            if what == 0 {
                proptest::prop_assert_eq!(set.remove(&member), model.remove(&member));
            } else {
                proptest::prop_assert_eq!(set.insert(&member), model.insert(member));
            }
            proptest::prop_assert_eq!(set.len(), model.len());
        }
        let all: Vec<Vec<u8>> = set.iter().map(|member| member.to_vec()).collect();
        let mut scanned = Vec::new();
        set.scan(0, usize::MAX, |member| { scanned.push(member.to_vec()); true });
        proptest::prop_assert_eq!(&all, &scanned);
        proptest::prop_assert_eq!(&all.iter().cloned().collect::<BTreeSet<_>>(), &model);
        proptest::prop_assert!(model.iter().all(|member| set.contains(member)));
        let half: Vec<u32> = set.all().into_iter().step_by(2).collect();
        let taken = set.take(&half);
        proptest::prop_assert_eq!(taken.len(), half.len());
        for member in taken {
            proptest::prop_assert!(model.remove(&member[..]) && !set.contains(&member));
        }
        proptest::prop_assert_eq!(set.len(), model.len());
    }
}

use super::*;

#[test]
fn a_copy_of_a_set_that_lost_members_is_whole() {
    let mut zset = ZSet::default();
    for member in ["a", "b", "c"] {
        zset.insert(member.as_bytes(), 1.0);
    }
    zset.remove(b"a");
    let copy = zset.clone();
    assert_eq!(
        copy.iter().collect::<Vec<_>>(),
        zset.iter().collect::<Vec<_>>()
    );
    assert_eq!(copy.len(), 2);
}

#[test]
fn equal_scores_are_ordered_by_member() {
    let mut zset = ZSet::default();
    for member in ["b", "a", "c"] {
        zset.insert(member.as_bytes(), 1.0);
    }
    let members: Vec<Vec<u8>> = zset.iter().map(|(member, _)| member.to_vec()).collect();
    assert_eq!(members, [b"a", b"b", b"c"]);
    assert_eq!(zset.rank(b"c"), Some(2));
}

proptest::proptest! {
    #[test]
    fn ranks_and_ranges_agree_with_a_sorted_vector(
        steps in proptest::collection::vec((0u8..3, 0u16..200, -5i8..5), 1..700),
        wide in proptest::bool::ANY,
    ) {
        let mut zset = ZSet::default();
        let mut model: Vec<(f64, Vec<u8>)> = Vec::new();
        for (what, member, score) in steps {
            let member = if wide { member } else { member % 100 };
            let score = f64::from(score) / 2.0;
            let member = format!("{}{member}", if member % 3 == 0 { "m" } else { "" }).into_bytes();
            if what == 0 {
                let known = model.iter().position(|(_, m)| *m == member);
                proptest::prop_assert_eq!(zset.remove(&member), known.map(|at| model[at].0));
                if let Some(at) = known { model.remove(at); }
            } else if what == 1 && model.len() > 10 {
                let start = usize::from(member[0]) % model.len();
                let end = (start + 3).min(model.len());
                proptest::prop_assert_eq!(zset.remove_ranks(start..end), end - start);
                model.drain(start..end);
            } else {
                zset.insert(&member, score);
                model.retain(|(_, m)| *m != member);
                model.push((score, member));
                model.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            }
            proptest::prop_assert_eq!(zset.len(), model.len());
        }
        for (rank, (score, member)) in model.iter().enumerate() {
            proptest::prop_assert_eq!(zset.rank(member), Some(rank));
            proptest::prop_assert_eq!(zset.score(member), Some(*score));
        }
        let forward: Vec<_> = zset.iter().map(|(m, s)| (s, m.to_vec())).collect();
        proptest::prop_assert_eq!(&forward, &model);
        let mut backward: Vec<_> =
            zset.range_rev(0..zset.len()).map(|(m, s)| (s, m.to_vec())).collect();
        backward.reverse();
        proptest::prop_assert_eq!(&backward, &model);
    }
}

#[test]
fn a_sorted_set_grows_out_of_its_buffer_as_that_of_redis() {
    let of = |members: usize, length: usize| {
        let mut zset = ZSet::default();
        for member in 0..members {
            zset.insert(format!("{member:0length$}").as_bytes(), 1.5);
        }
        zset
    };
    assert!(of(128, 64).is_packed());
    assert!(!of(129, 1).is_packed());
    assert!(!of(1, 65).is_packed());
    let mut zset = of(128, 3);
    assert_eq!(zset.insert(b"127", f64::INFINITY), Some(1.5));
    assert!(zset.is_packed());
    assert_eq!(zset.insert(b"new", -1.0), None);
    assert_eq!((zset.is_packed(), zset.len()), (false, 129));
    assert_eq!(zset.rank(b"127"), Some(128));
    assert_eq!(zset.rank(b"new"), Some(0));
}

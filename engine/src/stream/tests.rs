#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn id(ms: u64) -> StreamId {
    StreamId::new(ms, 0)
}

fn filled(ids: std::ops::RangeInclusive<u64>) -> Stream {
    let mut stream = Stream::default();
    for ms in ids {
        stream.append(id(ms), Fields::pack(&[b"f", b"v"]));
    }
    stream
}

fn trim(threshold: Threshold) -> Trim {
    Trim {
        threshold,
        approximate: false,
        limit: None,
        references: References::Keep,
    }
}

#[test]
fn ids_only_grow() {
    let mut stream = Stream::default();
    assert_eq!(
        stream.next_id(NewId::Given(StreamId::MIN), 5),
        Err(IdError::Zero)
    );
    assert_eq!(
        stream.next_id(NewId::AutoSeq(0), 5),
        Ok(StreamId::new(0, 1))
    );
    assert_eq!(stream.next_id(NewId::Auto, 5), Ok(id(5)));
    stream.append(id(9), Fields::pack(&[]));
    assert_eq!(
        stream.next_id(NewId::Auto, 5),
        Ok(StreamId::new(9, 1)),
        "the clock went back"
    );
    assert_eq!(
        stream.next_id(NewId::AutoSeq(9), 5),
        Ok(StreamId::new(9, 1))
    );
    assert_eq!(stream.next_id(NewId::AutoSeq(8), 5), Err(IdError::TooSmall));
    assert_eq!(
        stream.next_id(NewId::Given(id(9)), 5),
        Err(IdError::TooSmall)
    );
    stream.append(StreamId::MAX, Fields::pack(&[]));
    assert_eq!(stream.next_id(NewId::Auto, 5), Err(IdError::Exhausted));
}

#[test]
fn a_trim_is_close_once_the_surplus_is_a_node() {
    let approximate = |threshold| Trim {
        approximate: true,
        ..trim(threshold)
    };
    let mut stream = filled(1..=1000);
    assert_eq!(stream.trim(&trim(Threshold::MaxLen(930))), 70);
    assert_eq!(stream.trim(&approximate(Threshold::MaxLen(831))), 0);
    assert_eq!(stream.trim(&approximate(Threshold::MaxLen(830))), 100);
    assert_eq!(stream.trim(&approximate(Threshold::MinId(id(270)))), 0);
    assert_eq!(stream.trim(&approximate(Threshold::MinId(id(271)))), 100);
    let limited = Trim {
        limit: Some(5),
        ..approximate(Threshold::MaxLen(0))
    };
    assert_eq!(stream.trim(&limited), 5);
    assert_eq!(stream.trim(&trim(Threshold::MinId(id(900)))), 624);
    assert_eq!(stream.first_id(), id(900));
}

#[test]
fn acknowledged_trim_leaves_referenced_entries() {
    let mut stream = filled(1..=10);
    stream.create_group(b"g", Group::new(id(6), None));
    stream.group_mut(b"g").unwrap().deliver(id(2), b"c", 0);
    let acknowledged = Trim {
        references: References::Acknowledged,
        ..trim(Threshold::MaxLen(0))
    };
    assert_eq!(stream.trim(&acknowledged), 5, "1, 3, 4, 5, 6");
    let left: Vec<u64> = stream
        .range(StreamId::MIN, StreamId::MAX)
        .map(|e| e.id.ms)
        .collect();
    assert_eq!(left, [2, 7, 8, 9, 10]);
    assert_eq!(
        stream.delete_with(id(2), References::Acknowledged),
        Deletion::StillReferenced
    );
    assert_eq!(
        stream.delete_with(id(2), References::Delete),
        Deletion::Deleted
    );
    assert!(stream.group(b"g").unwrap().pending().is_empty());
}

#[test]
fn lag_is_known_until_a_deletion_hides_it() {
    let mut stream = filled(1..=10);
    stream.create_group(b"g", Group::new(StreamId::MIN, None));
    assert_eq!(stream.lag(stream.group(b"g").unwrap()), Some(10));
    for ms in 1..=4 {
        stream.advance(b"g", id(ms));
    }
    assert_eq!(stream.group(b"g").unwrap().entries_read, Some(4));
    assert_eq!(stream.lag(stream.group(b"g").unwrap()), Some(6));
    stream.delete(id(7));
    assert_eq!(stream.lag(stream.group(b"g").unwrap()), None);
    stream.advance(b"g", id(10));
    assert_eq!(stream.lag(stream.group(b"g").unwrap()), Some(0));
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Delete(u64),
    Remove(u64, u8),
    Trim(u64, bool, u8),
    Read(u8, u8),
    Ack(u64),
    AckDelete(u64, u8),
    Claim(u64, u8, bool),
    DropConsumer(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..40).prop_map(Step::Append),
        1 => (0u64..600).prop_map(Step::Delete),
        1 => (0u64..600, 0u8..3).prop_map(|(ms, r)| Step::Remove(ms, r)),
        1 => (0u64..300, any::<bool>(), 0u8..3).prop_map(|(n, nodes, r)| Step::Trim(n, nodes, r)),
        3 => (0u8..3, 1u8..20).prop_map(|(c, n)| Step::Read(c, n)),
        2 => (0u64..600).prop_map(Step::Ack),
        1 => (0u64..600, 0u8..3).prop_map(|(ms, r)| Step::AckDelete(ms, r)),
        2 => (0u64..600, 0u8..3, any::<bool>()).prop_map(|(ms, c, f)| Step::Claim(ms, c, f)),
        1 => (0u8..3).prop_map(Step::DropConsumer),
    ]
}

fn references(n: u8) -> References {
    [
        References::Keep,
        References::Delete,
        References::Acknowledged,
    ][usize::from(n % 3)]
}

/// Applies a step to the stream and to a plain model of its ids.
fn apply(stream: &mut Stream, model: &mut BTreeSet<StreamId>, step: &Step) {
    let name = |c: u8| format!("c{c}");
    match *step {
        Step::Append(n) => {
            for _ in 0..n {
                let next = id(stream.last_id().ms + 1);
                stream.append(next, Fields::pack(&[b"n", next.ms.to_string().as_bytes()]));
                model.insert(next);
            }
        }
        Step::Delete(ms) => assert_eq!(stream.delete(id(ms)), model.remove(&id(ms))),
        Step::Remove(ms, r) => {
            let there = model.contains(&id(ms));
            match stream.delete_with(id(ms), references(r)) {
                Deletion::Deleted => assert!(model.remove(&id(ms))),
                Deletion::NotFound => assert!(!there),
                Deletion::StillReferenced => {
                    assert!(there && references(r) == References::Acknowledged);
                }
            }
        }
        Step::Trim(max, approximate, r) => {
            let before = model.len();
            let gone = stream.trim(&Trim {
                threshold: Threshold::MaxLen(max),
                approximate,
                limit: None,
                references: references(r),
            });
            let left: BTreeSet<StreamId> = stream
                .range(StreamId::MIN, StreamId::MAX)
                .map(|e| e.id)
                .collect();
            assert!(left.is_subset(model));
            assert_eq!(before - left.len(), gone as usize);
            assert!(
                left.len() as u64 >= max.min(before as u64),
                "never below the threshold"
            );
            *model = left;
        }
        Step::Read(c, n) => {
            let group = stream.group(b"g").unwrap();
            let new: Vec<StreamId> = stream
                .range(group.last_id.next().unwrap(), StreamId::MAX)
                .take(n.into())
                .map(|e| e.id)
                .collect();
            stream.group_mut(b"g").unwrap().see(name(c).as_bytes(), 1);
            for id in new {
                stream.advance(b"g", id);
                stream
                    .group_mut(b"g")
                    .unwrap()
                    .deliver(id, name(c).as_bytes(), 1);
            }
        }
        Step::Ack(ms) => {
            stream.group_mut(b"g").unwrap().acknowledge(id(ms));
        }
        Step::AckDelete(ms, r) => {
            stream.acknowledge_and_delete(b"g", id(ms), references(r));
            assert!(!stream.group(b"g").unwrap().pending().contains_key(&id(ms)));
            if stream.get(id(ms)).is_none() {
                model.remove(&id(ms));
            }
        }
        Step::Claim(ms, c, force) => {
            let group = stream.group_mut(b"g").unwrap();
            group.see(name(c).as_bytes(), 2);
            let claim = Claim {
                min_idle: 0,
                delivered_at: 2,
                now: 2,
                deliveries: None,
                force,
                just_id: false,
            };
            let was = group.pending().get(&id(ms)).map(|p| p.deliveries);
            let claimed = group.claim(id(ms), name(c).as_bytes(), claim);
            assert_eq!(claimed, was.is_some() || force);
            if claimed {
                assert_eq!(group.pending()[&id(ms)].deliveries, was.unwrap_or(1) + 1);
            }
        }
        Step::DropConsumer(c) => {
            let group = stream.group_mut(b"g").unwrap();
            let owned: BTreeSet<_> = group
                .pending()
                .iter()
                .filter(|(_, p)| p.consumer.as_deref() == Some(name(c).as_bytes()))
                .map(|(id, _)| *id)
                .collect();
            assert_eq!(group.delete_consumer(name(c).as_bytes()), owned.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn log_groups_and_counters_stay_consistent(steps in prop::collection::vec(step(), 1..60)) {
        let mut stream = Stream::default();
        stream.create_group(b"g", Group::new(StreamId::MIN, Some(0)));
        let mut model = BTreeSet::new();
        for step in &steps {
            apply(&mut stream, &mut model, step);
            prop_assert_eq!(stream.len(), model.len());
            prop_assert!(stream.range(StreamId::MIN, StreamId::MAX).map(|e| e.id).eq(model.iter().copied()));
            prop_assert!(stream.range_back(StreamId::MIN, StreamId::MAX).map(|e| e.id).eq(model.iter().rev().copied()));
            prop_assert_eq!(stream.first_id(), model.first().copied().unwrap_or_default());
            prop_assert_eq!(stream.last().map(|e| e.id), model.last().copied());
            prop_assert!(stream.group(b"g").unwrap().is_consistent());
            if let Some(lag) = stream.lag(stream.group(b"g").unwrap()) && !model.is_empty() {
                let last = stream.group(b"g").unwrap().last_id;
                prop_assert!(lag as usize >= model.iter().filter(|id| **id > last).count());
            }
        }
    }
}

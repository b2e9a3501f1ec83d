use std::collections::VecDeque;

use super::*;

fn items(list: &List) -> Vec<Vec<u8>> {
    list.iter().map(|item| item.to_vec()).collect()
}

/// The threshold is that of Redis 7.2 and later: 8 KiB.
#[test]
fn a_list_grows_out_of_its_buffer_and_comes_back() {
    let mut list = List::default();
    let item = [b'x'; 62];
    for _ in 0..128 {
        list.push(End::Right, &item);
    }
    assert!(list.is_packed());
    list.push(End::Left, b"0");
    assert!(!list.is_packed());
    list.pop(End::Left);
    for _ in 0..63 {
        list.pop(End::Right);
        assert!(!list.is_packed());
    }
    list.pop(End::Left);
    assert!(list.is_packed());
    assert_eq!(list.len(), 64);
    list.push(End::Right, &[b'x'; 8192]);
    assert!(!list.is_packed());
    assert_eq!(list.get(64).map(|item| item.len()), Some(8192));
    assert_eq!(list.pop(End::Right).map(|item| item.len()), Some(8192));
    assert!(list.is_packed());
}

proptest::proptest! {
    #[test]
    fn behaves_as_a_deque_in_both_forms(
        steps in proptest::collection::vec((0u8..10, 0usize..4000, 0u8..40), 1..300)
    ) {
        let mut list = List::default();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for (what, size, kind) in steps {
            let item = match kind {
                0 => vec![b'L'; 8180 + size % 30],
                1..=9 => size.to_string().into_bytes(),
                10..=30 => vec![b'x'; size % 700],
                _ => vec![b'y'; size],
            };
            let len = model.len();
            let index = if len == 0 { 0 } else { size % len };
            match what {
                0 | 1 => { list.push(End::Left, &item); model.push_front(item); }
                2 | 3 => { list.push(End::Right, &item); model.push_back(item); }
                4 => {
                    let popped = list.pop(End::Left).map(|item| item.to_vec());
                    proptest::prop_assert_eq!(popped, model.pop_front());
                }
                5 => {
                    let popped = list.pop(End::Right).map(|item| item.to_vec());
                    proptest::prop_assert_eq!(popped, model.pop_back());
                }
                6 if len > 0 => { list.set(index, &item); model[index] = item; }
                7 => { list.insert(index, &item); model.insert(index, item); }
                8 if kind == 7 => {
                    let range = index / 2..len - index / 3;
                    list.trim(range.clone());
                    model.truncate(range.end);
                    model.drain(..range.start.min(range.end));
                    if range.is_empty() { model.clear(); }
                }
                9 if kind == 8 => {
                    list.retain(|item| item.len() % 2 == 0);
                    model.retain(|item| item.len() % 2 == 0);
                }
                _ => {
                    let got = list.get(index).map(|item| item.to_vec());
                    proptest::prop_assert_eq!(got.as_ref(), model.get(index));
                    let some: Vec<_> = list.range(index..len).map(|item| item.to_vec()).collect();
                    proptest::prop_assert!(some.iter().eq(model.range(index..)));
                }
            }
            list.check();
            proptest::prop_assert_eq!(list.len(), model.len());
            proptest::prop_assert_eq!(list.get(list.len()), None);
        }
        proptest::prop_assert!(items(&list).iter().eq(model.iter()));
        let back: Vec<Vec<u8>> = list.iter().rev().map(|item| item.to_vec()).collect();
        proptest::prop_assert!(back.iter().eq(model.iter().rev()));
        let copy = list.clone();
        copy.check();
        // A clone's rows may have another capacity, its items are the same.
        proptest::prop_assert_eq!(items(&copy), items(&list));
    }
}

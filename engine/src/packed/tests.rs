use std::collections::VecDeque;

use super::*;

fn texts(packed: &Packed) -> Vec<Vec<u8>> {
    packed.iter().map(|text| text.to_vec()).collect()
}

#[test]
fn numbers_are_short_and_come_back_as_they_were_written() {
    let mut packed = Packed::default();
    let mut model: Vec<String> = Vec::new();
    for bits in 0..64 {
        let edge = 1i64.wrapping_shl(bits);
        for number in [edge, edge.wrapping_sub(1), edge.wrapping_neg(), !edge] {
            model.push(number.to_string());
        }
    }
    // These are no integers as Redis writes them.
    model.extend(["-0", "+1", "01", " 1", "1 ", "", "9223372036854775808"].map(str::to_owned));
    for text in &model {
        packed.push_back(&Element::new(text.as_bytes()));
    }
    assert!(texts(&packed).iter().eq(model.iter().map(String::as_bytes)));
    let mut hundred = Packed::default();
    hundred.push_back(&Element::new(b"100"));
    assert_eq!(hundred.bytes(), 2);
}

#[test]
fn scores_keep_every_bit() {
    for score in [
        0.0,
        1.5,
        -3.0,
        1e300,
        f64::INFINITY,
        f64::NEG_INFINITY,
        9_007_199_254_740_993.0,
        f64::MIN_POSITIVE,
        5e-324,
    ] {
        let mut packed = Packed::default();
        packed.push_back(&Element::score(score));
        assert_eq!(packed.score(packed.start()).to_bits(), score.to_bits());
        assert_eq!(packed.after(packed.start()), packed.end());
    }
}

proptest::proptest! {
    #[test]
    fn behaves_as_a_list(
        steps in proptest::collection::vec((0u8..6, 0usize..300, 0usize..4), 1..200)
    ) {
        let mut packed = Packed::default();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for (what, size, kind) in steps {
            let text = match kind {
                0 => size.to_string().into_bytes(),
                1 => format!("-{size}00000").into_bytes(),
                _ => vec![b'x'; size],
            };
            let element = Element::new(&text);
            let place = if model.is_empty() { 0 } else { size % model.len() };
            match what {
                0 => { packed.insert(packed.start(), &element); model.push_front(text); }
                1 => { packed.push_back(&element); model.push_back(text); }
                2 => { packed.insert(packed.nth(place), &element); model.insert(place, text); }
                3 if !model.is_empty() => {
                    packed.replace(packed.nth(place), &element);
                    model[place] = text;
                }
                _ => {
                    let count = kind.min(model.len() - place);
                    packed.remove(packed.nth(place), count);
                    model.drain(place..place + count);
                }
            }
            proptest::prop_assert_eq!(packed.len(), model.len());
            proptest::prop_assert!(packed.weight() < 150 || packed.weight() <= packed.bytes() * 5);
        }
        proptest::prop_assert!(texts(&packed).iter().eq(model.iter()));
        let back: Vec<Vec<u8>> = packed.iter().rev().map(|text| text.to_vec()).collect();
        proptest::prop_assert!(back.iter().eq(model.iter().rev()));
        for text in &model {
            let at = packed.find(&Element::new(text), 1);
            let first = model.iter().position(|other| other == text).map(|at| packed.nth(at));
            proptest::prop_assert_eq!(at, first);
        }
        proptest::prop_assert_eq!(packed.find(&Element::new(b"absent"), 1), None);
    }
}

//! Glob patterns, as Redis matches them.

use crate::budget::Budget;

/// Whether `text` matches `pattern`: `*`, `?`, `[a-z]`, `[^a]`, `\` escapes.
///
/// When the budget is over nothing matches.
pub(crate) fn matches(pattern: &[u8], text: &[u8], budget: &Budget) -> bool {
    let skip = false;
    Matcher { skip, budget }.run(pattern, text, 0)
}

/// Whether a pattern matches every text.
pub(crate) fn is_all(pattern: &[u8]) -> bool {
    pattern == b"*"
}

struct Matcher<'b> {
    /// A later star has failed to match to the end: earlier stars cannot do better.
    skip: bool,
    budget: &'b Budget,
}

impl Matcher<'_> {
    fn run(&mut self, mut pattern: &[u8], mut text: &[u8], depth: u32) -> bool {
        // As Redis: a bound against patterns that nest without end.
        if depth > 1000 {
            return false;
        }
        while let (Some(&first), false) = (pattern.first(), text.is_empty()) {
            if self.budget.spend(1).is_err() {
                self.skip = true;
                return false;
            }
            match first {
                b'*' => {
                    while pattern.get(1) == Some(&b'*') {
                        pattern = &pattern[1..];
                    }
                    if pattern.len() == 1 {
                        return true;
                    }
                    while !text.is_empty() {
                        if self.run(&pattern[1..], text, depth + 1) {
                            return true;
                        }
                        if self.skip {
                            return false;
                        }
                        text = &text[1..];
                    }
                    self.skip = true;
                    return false;
                }
                b'?' => text = &text[1..],
                b'[' => {
                    let (hit, rest) = class(&pattern[1..], text[0]);
                    let _ = self.budget.spend(pattern.len() - rest.len());
                    if !hit {
                        return false;
                    }
                    text = &text[1..];
                    // `class` leaves the pattern at the closing bracket, or at its end.
                    pattern = rest;
                    if pattern.is_empty() {
                        break;
                    }
                }
                b'\\' if pattern.len() >= 2 => {
                    pattern = &pattern[1..];
                    if pattern[0] != text[0] {
                        return false;
                    }
                    text = &text[1..];
                }
                literal => {
                    if literal != text[0] {
                        return false;
                    }
                    text = &text[1..];
                }
            }
            pattern = &pattern[1..];
            if text.is_empty() {
                while pattern.first() == Some(&b'*') {
                    pattern = &pattern[1..];
                }
                break;
            }
        }
        pattern.is_empty() && text.is_empty()
    }
}

/// Matches one byte against a class; the pattern stands after the opening bracket. Returns the
/// pattern standing at the closing bracket, empty if it is missing.
fn class(mut pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let not = pattern.first() == Some(&b'^');
    if not {
        pattern = &pattern[1..];
    }
    let mut hit = false;
    loop {
        match pattern {
            [b'\\', escaped, ..] => {
                hit |= *escaped == byte;
                pattern = &pattern[2..];
            }
            [b']', ..] | [] => break,
            [low, b'-', high, ..] => {
                let (low, high) = (low.min(high), low.max(high));
                hit |= (low..=high).contains(&&byte);
                pattern = &pattern[3..];
            }
            [single, ..] => {
                hit |= *single == byte;
                pattern = &pattern[1..];
            }
        }
    }
    (hit != not, pattern)
}

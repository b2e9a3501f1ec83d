//! Lua's patterns, matched within a budget.
//!
//! The interpreter's own matcher recurses as deep as the pattern is long, and nothing stops it.
//! This one keeps its alternatives in a list and spends from the budget of the command.

use crate::budget::Budget;

/// The most captures of a pattern.
const MAX_CAPTURES: usize = 32;
/// The most alternatives open at once; each takes some 32 bytes.
const MAX_ALTERNATIVES: usize = 200_000;
/// Steps that are spent at once.
const STEPS: usize = 1 << 13;

/// Why a pattern was not matched to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The pattern or its use is wrong.
    Invalid(&'static str),
    /// The budget is used up.
    Stopped,
}

type Outcome<T> = Result<T, Problem>;

/// A capture's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    At(usize),
    /// The capture is the position of its start.
    Position,
}

/// What a capture gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// The subject from here to there.
    Text(usize, usize),
    /// A place in the subject, from 1.
    Position(usize),
}

/// How to go back to where another choice was open.
#[derive(Clone, Copy, Debug)]
enum Alternative {
    /// Forget the newest capture.
    Uncapture,
    /// Open this capture again.
    Reopen(usize),
    /// Go on with the pattern here at `at`, then before it, down to `low`.
    Fewer {
        pattern: usize,
        low: usize,
        at: usize,
    },
    /// Take one more of the single character at `pattern`.
    More {
        pattern: usize,
        end: usize,
        at: usize,
    },
}

/// Matches one pattern in one subject.
pub(super) struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    anchored: bool,
    captures: [(usize, End); MAX_CAPTURES],
    level: usize,
    alternatives: Vec<Alternative>,
    budget: &'a Budget,
    left: usize,
}

impl<'a> Matcher<'a> {
    /// A matcher that spends from this budget. `anchors`: a leading `^` is an anchor.
    pub(super) fn new(
        subject: &'a [u8],
        pattern: &'a [u8],
        anchors: bool,
        budget: &'a Budget,
    ) -> Self {
        // To Lua 5.1 a pattern ends with its first zero.
        let end = pattern.iter().position(|byte| *byte == 0);
        let pattern = &pattern[..end.unwrap_or(pattern.len())];
        let anchored = anchors && pattern.first() == Some(&b'^');
        Self {
            subject,
            pattern: &pattern[usize::from(anchored)..],
            anchored,
            captures: [(0, End::Open); MAX_CAPTURES],
            level: 0,
            alternatives: Vec::new(),
            budget,
            left: STEPS,
        }
    }

    /// Whether the pattern matches at its first place only.
    pub(super) const fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// The first match at `from` or after: where it starts and ends.
    pub(super) fn find(&mut self, from: usize) -> Outcome<Option<(usize, usize)>> {
        for start in from..=self.subject.len() {
            if let Some(end) = self.match_at(start)? {
                return Ok(Some((start, end)));
            }
            if self.anchored {
                break;
            }
        }
        Ok(None)
    }

    /// How many captures the last match has.
    pub(super) const fn capture_count(&self) -> usize {
        self.level
    }

    /// A capture of the last match, which is `start..end`; the first is the whole if there is none.
    pub(super) fn capture(&self, index: usize, start: usize, end: usize) -> Outcome<Capture> {
        if index >= self.level {
            return match index {
                0 => Ok(Capture::Text(start, end)),
                _ => Err(Problem::Invalid("invalid capture index")),
            };
        }
        match self.captures[index] {
            (_, End::Open) => Err(Problem::Invalid("unfinished capture")),
            (start, End::At(end)) => Ok(Capture::Text(start, end)),
            (start, End::Position) => Ok(Capture::Position(start + 1)),
        }
    }

    /// Where the match that starts here ends.
    pub(super) fn match_at(&mut self, start: usize) -> Outcome<Option<usize>> {
        self.level = 0;
        self.alternatives.clear();
        let (mut at, mut p) = (start, 0);
        loop {
            let step = self.item(at, p)?;
            match step {
                Step::End => return Ok(Some(at)),
                Step::Next(next_at, next_p) => (at, p) = (next_at, next_p),
                Step::Fail => match self.back()? {
                    Some(place) => (at, p) = place,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Matches the item of the pattern at `p`.
    fn item(&mut self, at: usize, p: usize) -> Outcome<Step> {
        self.spend(1)?;
        match self.byte(p) {
            0 => Ok(Step::End),
            b'(' if self.byte(p + 1) == b')' => self.open(at, p + 2, End::Position),
            b'(' => self.open(at, p + 1, End::Open),
            b')' => self.close(at, p + 1),
            b'%' => match self.byte(p + 1) {
                b'b' => self.balance(at, p + 2),
                b'f' => self.frontier(at, p + 2),
                digit @ b'0'..=b'9' => self.reference(at, p + 2, digit),
                _ => self.repeated(at, p),
            },
            b'$' if p + 1 == self.pattern.len() => Ok(if at == self.subject.len() {
                Step::End
            } else {
                Step::Fail
            }),
            _ => self.repeated(at, p),
        }
    }

    /// A single character, with what says how often it comes.
    fn repeated(&mut self, at: usize, p: usize) -> Outcome<Step> {
        let end = self.class_end(p)?;
        let matches = self.single(at, p, end)?;
        let suffix = self.byte(end);
        Ok(match suffix {
            b'?' => {
                if !matches {
                    return Ok(Step::Next(at, end + 1));
                }
                self.remember(Alternative::Fewer {
                    pattern: end + 1,
                    low: at,
                    at,
                })?;
                Step::Next(at + 1, end + 1)
            }
            b'+' if !matches => Step::Fail,
            b'*' | b'+' => {
                let low = at + usize::from(suffix == b'+');
                let mut most = at;
                while self.single(most, p, end)? {
                    most += 1;
                }
                if most > low {
                    self.remember(Alternative::Fewer {
                        pattern: end + 1,
                        low,
                        at: most - 1,
                    })?;
                }
                Step::Next(most, end + 1)
            }
            b'-' => {
                self.remember(Alternative::More {
                    pattern: p,
                    end,
                    at,
                })?;
                Step::Next(at, end + 1)
            }
            _ if matches => Step::Next(at + 1, end),
            _ => Step::Fail,
        })
    }

    /// Goes back to the newest alternative.
    fn back(&mut self) -> Outcome<Option<(usize, usize)>> {
        while let Some(alternative) = self.alternatives.pop() {
            self.spend(1)?;
            match alternative {
                Alternative::Uncapture => self.level -= 1,
                Alternative::Reopen(index) => self.captures[index].1 = End::Open,
                Alternative::Fewer { pattern, low, at } => {
                    if at > low {
                        self.alternatives.push(Alternative::Fewer {
                            pattern,
                            low,
                            at: at - 1,
                        });
                    }
                    return Ok(Some((at, pattern)));
                }
                Alternative::More { pattern, end, at } => {
                    if self.single(at, pattern, end)? {
                        let at = at + 1;
                        self.alternatives
                            .push(Alternative::More { pattern, end, at });
                        return Ok(Some((at, end + 1)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn remember(&mut self, alternative: Alternative) -> Outcome<()> {
        if self.alternatives.len() >= MAX_ALTERNATIVES {
            return Err(Problem::Invalid("pattern too complex"));
        }
        self.alternatives.push(alternative);
        Ok(())
    }

    fn open(&mut self, at: usize, p: usize, end: End) -> Outcome<Step> {
        let Some(capture) = self.captures.get_mut(self.level) else {
            return Err(Problem::Invalid("too many captures"));
        };
        *capture = (at, end);
        self.level += 1;
        self.remember(Alternative::Uncapture)?;
        Ok(Step::Next(at, p))
    }

    fn close(&mut self, at: usize, p: usize) -> Outcome<Step> {
        let open = &mut self.captures[..self.level];
        let last = open.iter().rposition(|(_, end)| *end == End::Open);
        let index = last.ok_or(Problem::Invalid("invalid pattern capture"))?;
        self.captures[index].1 = End::At(at);
        self.remember(Alternative::Reopen(index))?;
        Ok(Step::Next(at, p))
    }

    /// `%bxy`: from an `x` to the `y` that balances it.
    fn balance(&mut self, at: usize, p: usize) -> Outcome<Step> {
        let (open, close) = (self.byte(p), self.byte(p + 1));
        if open == 0 || close == 0 {
            return Err(Problem::Invalid("unbalanced pattern"));
        }
        if self.subject.get(at) != Some(&open) {
            return Ok(Step::Fail);
        }
        let mut depth = 1;
        for next in at + 1..self.subject.len() {
            self.spend(1)?;
            if self.subject[next] == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Step::Next(next + 1, p + 2));
                }
            } else if self.subject[next] == open {
                depth += 1;
            }
        }
        Ok(Step::Fail)
    }

    /// `%f[set]`: between a character out of the set and one of it.
    fn frontier(&mut self, at: usize, p: usize) -> Outcome<Step> {
        if self.byte(p) != b'[' {
            return Err(Problem::Invalid("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(p)?;
        let before = at.checked_sub(1).map_or(0, |before| self.subject[before]);
        let here = self.subject.get(at).copied().unwrap_or(0);
        let set = &self.pattern[p..end];
        Ok(if !in_set(before, set) && in_set(here, set) {
            Step::Next(at, end)
        } else {
            Step::Fail
        })
    }

    /// `%1`: the text of a capture again.
    fn reference(&mut self, at: usize, p: usize, digit: u8) -> Outcome<Step> {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        let captures = &self.captures[..self.level];
        match index.and_then(|index| captures.get(index)) {
            None | Some((_, End::Open)) => Err(Problem::Invalid("invalid capture index")),
            Some((_, End::Position)) => Ok(Step::Fail),
            Some((start, End::At(end))) => {
                let (start, end) = (*start, *end);
                self.spend((end - start) / 16)?;
                let same = self.subject[at..].starts_with(&self.subject[start..end]);
                Ok(if same {
                    Step::Next(at + end - start, p)
                } else {
                    Step::Fail
                })
            }
        }
    }

    /// Where the single character that starts at `p` ends.
    fn class_end(&mut self, p: usize) -> Outcome<usize> {
        match self.byte(p) {
            b'%' if p + 1 >= self.pattern.len() => {
                Err(Problem::Invalid("malformed pattern (ends with '%')"))
            }
            b'%' => Ok(p + 2),
            b'[' => {
                let mut end = p + 1;
                if self.byte(end) == b'^' {
                    end += 1;
                }
                loop {
                    let byte = self.byte(end);
                    if byte == 0 {
                        return Err(Problem::Invalid("malformed pattern (missing ']')"));
                    }
                    end += 1;
                    if byte == b'%' && end < self.pattern.len() {
                        end += 1;
                    }
                    if self.byte(end) == b']' {
                        self.spend((end - p) / 8)?;
                        return Ok(end + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the single character `p..end` of the pattern matches the one at `at`.
    fn single(&mut self, at: usize, p: usize, end: usize) -> Outcome<bool> {
        self.spend(1 + (end - p) / 8)?;
        let Some(&byte) = self.subject.get(at) else {
            return Ok(false);
        };
        Ok(match self.pattern[p] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[p + 1]),
            b'[' => in_set(byte, &self.pattern[p..end]),
            literal => literal == byte,
        })
    }

    /// A byte of the pattern; 0 after its end.
    fn byte(&self, p: usize) -> u8 {
        self.pattern.get(p).copied().unwrap_or(0)
    }

    fn spend(&mut self, steps: usize) -> Outcome<()> {
        spend(&mut self.left, steps, self.budget)
    }
}

enum Step {
    Next(usize, usize),
    Fail,
    End,
}

/// Spends from the budget, a slice at a time.
fn spend(left: &mut usize, steps: usize, budget: &Budget) -> Outcome<()> {
    if let Some(rest) = left.checked_sub(steps) {
        *left = rest;
        return Ok(());
    }
    *left = STEPS;
    budget.spend(STEPS.max(steps)).map_err(|_| Problem::Stopped)
}

/// Whether a byte is in `[set]`.
fn in_set(byte: u8, set: &[u8]) -> bool {
    let inside = set.get(1..set.len() - 1).unwrap_or_default();
    let (wanted, items) = match inside {
        [b'^', items @ ..] => (false, items),
        items => (true, items),
    };
    let mut at = 0;
    while let Some(&item) = items.get(at) {
        let found = match (item, items.get(at + 1), items.get(at + 2)) {
            (b'%', class, _) => {
                at += 2;
                // A set cannot end with an escape: the bracket would be escaped.
                class.is_some_and(|class| in_class(byte, *class))
            }
            (low, Some(b'-'), Some(high)) => {
                at += 3;
                (low..=*high).contains(&byte)
            }
            _ => {
                at += 1;
                item == byte
            }
        };
        if found {
            return wanted;
        }
    }
    !wanted
}

/// Whether a byte is in `%class`.
fn in_class(byte: u8, class: u8) -> bool {
    let found = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    found == class.is_ascii_lowercase()
}

/// Whether a text has a character that is special in patterns.
pub(super) fn is_plain(pattern: &[u8]) -> bool {
    let end = pattern.iter().position(|byte| *byte == 0);
    let pattern = &pattern[..end.unwrap_or(pattern.len())];
    !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte))
}

/// Where a text is found in another as it stands.
pub(super) fn find_plain(subject: &[u8], text: &[u8], budget: &Budget) -> Outcome<Option<usize>> {
    let Some(&first) = text.first() else {
        return Ok(Some(0));
    };
    let mut left = STEPS;
    let mut from = 0;
    while subject.len() - from >= text.len() {
        let places = &subject[from..=subject.len() - text.len()];
        // Pieces: one search of a long subject is no single step either.
        let places = &places[..places.len().min(STEPS)];
        spend(&mut left, 1 + places.len() / 16, budget)?;
        let Some(found) = places.iter().position(|byte| *byte == first) else {
            from += places.len();
            continue;
        };
        from += found;
        spend(&mut left, 1 + text.len() / 16, budget)?;
        if subject[from..].starts_with(text) {
            return Ok(Some(from));
        }
        from += 1;
    }
    Ok(None)
}

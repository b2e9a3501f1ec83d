//! Patterns such as `reports:{orgId}:{date}`, checked when they are compiled.

use super::params::Parts;

/// Most parameters of one pattern.
pub const MAX_PARAMETERS: usize = 8;

/// Literal parts and parameters between colons.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    text: &'static str,
    count: u8,
    /// Which parameter each place is, and where its name is written.
    places: [Place; MAX_PARAMETERS],
}

#[derive(Debug, Clone, Copy)]
struct Place {
    parameter: u8,
    start: u8,
    end: u8,
}

const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

impl Pattern {
    pub(super) const NONE: Self = Self {
        text: "",
        count: 0,
        places: [Place {
            parameter: 0,
            start: 0,
            end: 0,
        }; MAX_PARAMETERS],
    };

    pub(super) const fn is_none(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) const fn text(&self) -> &'static str {
        self.text
    }

    /// How many parameters it names.
    pub(super) const fn count(&self) -> usize {
        self.count as usize
    }

    /// One parameter and nothing else.
    pub(super) const fn free() -> Self {
        Self::read("{key}")
    }

    pub(super) const fn keyspace(text: &'static str) -> Self {
        let pattern = Self::tag(text);
        assert!(pattern.count > 0, "a keyspace has a parameter");
        pattern
    }

    pub(super) const fn tag(text: &'static str) -> Self {
        let pattern = Self::read(text);
        assert!(
            text.as_bytes()[0] != b'{',
            "a pattern begins with a literal part"
        );
        pattern
    }

    const fn read(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= 200,
            "a pattern has 1 to 200 bytes"
        );
        let mut pattern = Self { text, ..Self::NONE };
        let mut at = 0;
        loop {
            let start = at;
            let is_parameter = at < bytes.len() && bytes[at] == b'{';
            if is_parameter {
                at += 1;
            }
            while at < bytes.len() && (is_name(bytes[at]) || (!is_parameter && bytes[at] == b'-')) {
                at += 1;
            }
            if is_parameter {
                assert!(
                    at < bytes.len() && bytes[at] == b'}' && at > start + 1,
                    "a parameter is letters, digits and `_` in braces"
                );
                assert!(
                    pattern.count() < MAX_PARAMETERS,
                    "a pattern has at most eight parameters"
                );
                let (first, end) = (start + 1, at);
                let mut before = 0;
                while before < pattern.count() {
                    assert!(
                        !pattern.is_written(before, bytes, first, end),
                        "a parameter is named twice"
                    );
                    before += 1;
                }
                pattern.places[pattern.count()] = Place {
                    parameter: pattern.count,
                    start: first as u8,
                    end: end as u8,
                };
                pattern.count += 1;
                at += 1;
            }
            assert!(at > start, "a part of a pattern is empty");
            if at == bytes.len() {
                return pattern;
            }
            assert!(
                bytes[at] == b':',
                "a part is letters, digits, `_` and `-`, or a parameter in braces"
            );
            at += 1;
        }
    }

    const fn is_written(&self, place: usize, by: &[u8], start: usize, end: usize) -> bool {
        let (own, at) = (self.text.as_bytes(), self.places[place]);
        let length = (at.end - at.start) as usize;
        if length != end - start {
            return false;
        }
        let mut i = 0;
        while i < length {
            if own[at.start as usize + i] != by[start + i] {
                return false;
            }
            i += 1;
        }
        true
    }

    /// Whether a place has this name.
    pub(super) const fn is_named(&self, place: usize, name: &str) -> bool {
        place < self.count() && self.is_written(place, name.as_bytes(), 0, name.len())
    }

    /// A tag with the parameters of a keyspace.
    pub(super) const fn within(mut self, keyspace: &Self) -> Self {
        let mut place = 0;
        while place < self.count() {
            let at = self.places[place];
            let mut parameter = 0;
            while !keyspace.is_written(
                parameter,
                self.text.as_bytes(),
                at.start as usize,
                at.end as usize,
            ) {
                parameter += 1;
                assert!(
                    parameter < keyspace.count(),
                    "a tag has a parameter that the keyspace has not"
                );
            }
            self.places[place].parameter = parameter as u8;
            place += 1;
        }
        self
    }

    /// The literal part that it begins with, empty for free keys; keyspaces that share it are cleared
    /// together.
    pub(super) const fn namespace(&self) -> &'static str {
        let bytes = self.text.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b':' && bytes[end] != b'{' {
            end += 1;
        }
        self.text.split_at(end).0
    }

    /// The text with its parameters; `slot` is the one in braces.
    ///
    /// A literal part behind the first one begins with `#`, which no parameter does: what patterns
    /// of other literal parts make is never the same.
    pub(super) fn render(&self, before: &str, parts: &Parts, slot: Option<usize>) -> String {
        let mut out = String::with_capacity(before.len() + self.text.len() + parts.bytes());
        out.push_str(before);
        let mut places = self.places.iter().take(self.count()).enumerate();
        for (at, part) in self.text.split(':').enumerate() {
            if at > 0 {
                out.push(':');
            }
            let place = part.starts_with('{').then(|| places.next()).flatten();
            match place {
                Some((place, of)) if slot == Some(place) => {
                    out.push('{');
                    out.push_str(parts.get(usize::from(of.parameter)));
                    out.push('}');
                }
                Some((_, of)) => out.push_str(parts.get(usize::from(of.parameter))),
                None => {
                    if at > 0 {
                        out.push('#');
                    }
                    out.push_str(part);
                }
            }
        }
        out
    }

    /// Whether the marker of a tag lies in the slot that this parameter of the keyspace names.
    pub(super) fn lies_with(&self, slot: u8) -> bool {
        self.count > 0 && self.places[0].parameter == slot
    }

    /// The marker of a tag: its first parameter names the slot.
    pub(super) fn marker(&self, parts: &Parts) -> String {
        self.render("#tag:", parts, Some(0))
    }
}

//! From text to terms: words, lower case, stems; and how far words are apart.

use rust_stemmers::{Algorithm, Stemmer};

/// Longest word that is indexed, in bytes.
const LONGEST: usize = 255;

/// Languages with a stemmer.
pub(crate) const LANGUAGES: [(&str, Algorithm); 18] = [
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

/// How a text field is cut into terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Analysis {
    /// The value is one term, as it stands.
    pub(crate) whole: bool,
    /// Words are reduced to their stems by the language at this index.
    pub(crate) stem: Option<usize>,
}

/// A term and the bytes of the text it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) term: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Analysis {
    /// The terms of a text, in order.
    pub(crate) fn tokens(self, text: &str) -> Vec<Token> {
        if self.whole {
            let all = Token {
                term: text.to_owned(),
                start: 0,
                end: text.len(),
            };
            return if text.is_empty() {
                Vec::new()
            } else {
                vec![all]
            };
        }
        let stemmer = self.stemmer();
        let mut tokens = Vec::new();
        let mut start = None;
        for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
            match (letter.is_alphanumeric(), start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    start = None;
                    if let Some(word) = text.get(from..at).filter(|word| word.len() <= LONGEST) {
                        let lower = word.to_lowercase();
                        let term = stemmer
                            .as_ref()
                            .map_or_else(|| lower.clone(), |s| s.stem(&lower).into_owned());
                        tokens.push(Token {
                            term,
                            start: from,
                            end: at,
                        });
                    }
                }
                _ => {}
            }
        }
        tokens
    }

    pub(crate) fn terms(self, text: &str) -> Vec<String> {
        self.tokens(text)
            .into_iter()
            .map(|token| token.term)
            .collect()
    }

    /// Words in lower case, not stemmed.
    pub(crate) fn words(self, text: &str) -> Vec<String> {
        Self { stem: None, ..self }.terms(text)
    }

    fn stemmer(self) -> Option<Stemmer> {
        let (_, algorithm) = LANGUAGES.get(self.stem?)?;
        Some(Stemmer::create(*algorithm))
    }
}

/// How a fuzzy search compares words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fuzziness {
    pub(crate) distance: usize,
    /// Swapping two neighbours is one edit.
    pub(crate) transpositions: bool,
    /// The word may go on after the part that is similar.
    pub(crate) prefix: bool,
}

impl Fuzziness {
    /// Whether `word` can be made of `wanted` with few enough edits.
    pub(crate) fn accepts(self, wanted: &[char], word: &str) -> bool {
        let word: Vec<char> = word.chars().collect();
        if !self.prefix && wanted.len().abs_diff(word.len()) > self.distance {
            return false;
        }
        // A prefix longer than this is too far away whatever its letters are.
        let word = if self.prefix {
            &word[..word.len().min(wanted.len() + self.distance)]
        } else {
            &word[..]
        };
        // rows[i][j]: edits between the first i letters of `wanted` and the first j of `word`.
        let mut before: Vec<usize> = Vec::new();
        let mut row: Vec<usize> = (0..=word.len()).collect();
        for (i, &a) in wanted.iter().enumerate() {
            let mut next = Vec::with_capacity(row.len());
            next.push(i + 1);
            for (j, &b) in word.iter().enumerate() {
                let mut edits = (row[j] + usize::from(a != b))
                    .min(row[j + 1] + 1)
                    .min(next[j] + 1);
                if self.transpositions && i > 0 && j > 0 && a == word[j - 1] && wanted[i - 1] == b {
                    edits = edits.min(before[j - 1] + 1);
                }
                next.push(edits);
            }
            before = std::mem::replace(&mut row, next);
        }
        let edits = if self.prefix {
            row.iter().min()
        } else {
            row.last()
        };
        edits.is_some_and(|&edits| edits <= self.distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: Analysis = Analysis {
        whole: false,
        stem: Some(3),
    };

    #[test]
    fn text_is_cut_lowered_and_stemmed() {
        assert_eq!(
            ENGLISH.terms("Running, RUNS user@example.com"),
            ["run", "run", "user", "exampl", "com"]
        );
        assert_eq!(ENGLISH.terms("runner"), ["runner"]);
        assert_eq!(ENGLISH.words("Running 4K"), ["running", "4k"]);
        assert_eq!(
            Analysis {
                whole: true,
                stem: None
            }
            .terms("SKU-1 x"),
            ["SKU-1 x"]
        );
        let tokens = ENGLISH.tokens("é Zwei");
        assert_eq!((tokens[1].start, tokens[1].end), (3, 7));
        assert!(ENGLISH.terms("  - ").is_empty());
    }

    #[test]
    fn edits_are_counted() {
        let accepts = |wanted: &str, word, distance, transpositions, prefix| {
            let wanted: Vec<char> = wanted.chars().collect();
            Fuzziness {
                distance,
                transpositions,
                prefix,
            }
            .accepts(&wanted, word)
        };
        assert!(accepts("laptopp", "laptop", 1, true, false));
        assert!(!accepts("laptppo", "laptop", 1, false, false));
        assert!(accepts("haedphone", "headphone", 1, true, false));
        assert!(!accepts("haedphone", "headphone", 1, false, false));
        assert!(accepts("haedphone", "headphone", 2, false, false));
        assert!(accepts("lep", "laptop", 1, true, true));
        assert!(!accepts("lep", "laptop", 1, true, false));
        assert!(accepts("haedpho", "headphones", 1, true, true));
        assert!(accepts("", "a", 1, true, false));
    }
}

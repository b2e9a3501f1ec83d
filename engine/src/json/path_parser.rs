//! The parser of JSONPath.

use super::filter::{Comparison, Condition, Term};
use super::node::Node;
use super::path::{Segment, Selector};

/// The text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathError;

type Result<T> = std::result::Result<T, PathError>;

/// Parentheses, negations and paths within filters may be nested so deep.
const MAX_NESTING: usize = 32;

/// Parses the whole of `text`, which starts with `$`.
pub(super) fn parse(text: &str) -> Result<Vec<Segment>> {
    let mut parser = Parser {
        text: text.as_bytes(),
        at: 1,
        nesting: 0,
    };
    let segments = parser.segments()?;
    if parser.at == text.len() {
        Ok(segments)
    } else {
        Err(PathError)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn starts_with(&self, word: &[u8]) -> bool {
        self.text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
    }

    fn eat(&mut self, word: &[u8]) -> bool {
        let hit = self.starts_with(word);
        if hit {
            self.at += word.len();
        }
        hit
    }

    fn need(&mut self, word: &[u8]) -> Result<()> {
        if self.eat(word) {
            Ok(())
        } else {
            Err(PathError)
        }
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> Result<&str> {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        // The bytes accepted are ASCII or whole runs of other characters, so this is UTF-8.
        std::str::from_utf8(self.text.get(start..self.at).unwrap_or_default())
            .map_err(|_| PathError)
    }

    /// Steps up to the first byte that can start none.
    fn segments(&mut self) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        loop {
            let descend = self.eat(b"..");
            let selectors = if self.starts_with(b"[") {
                self.bracket()?
            } else if descend || self.eat(b".") {
                if self.starts_with(b"[") {
                    self.bracket()?
                } else {
                    vec![self.dotted()?]
                }
            } else {
                return Ok(segments);
            };
            segments.push(Segment { descend, selectors });
        }
    }

    /// `name` or `*` after a dot.
    fn dotted(&mut self) -> Result<Selector> {
        if self.eat(b"*") {
            return Ok(Selector::Wildcard);
        }
        let name = self.take_while(is_name)?;
        if name.is_empty() {
            Err(PathError)
        } else {
            Ok(Selector::Name(name.into()))
        }
    }

    /// `[…]`: one selector or several separated by commas.
    fn bracket(&mut self) -> Result<Vec<Selector>> {
        self.need(b"[")?;
        let mut selectors = Vec::new();
        loop {
            self.blanks();
            selectors.push(self.selector()?);
            self.blanks();
            if self.eat(b"]") {
                return Ok(selectors);
            }
            self.need(b",")?;
        }
    }

    fn selector(&mut self) -> Result<Selector> {
        match self.peek().ok_or(PathError)? {
            b'*' => {
                self.at += 1;
                Ok(Selector::Wildcard)
            }
            b'?' => {
                self.at += 1;
                self.blanks();
                Ok(Selector::Filter(self.any_of()?))
            }
            b'\'' | b'"' => Ok(Selector::Name(self.quoted()?.into())),
            _ => self.index_or_slice(),
        }
    }

    fn index_or_slice(&mut self) -> Result<Selector> {
        let start = self.integer()?;
        self.blanks();
        if !self.eat(b":") {
            return start.map(Selector::Index).ok_or(PathError);
        }
        self.blanks();
        let end = self.integer()?;
        self.blanks();
        let mut step = None;
        if self.eat(b":") {
            self.blanks();
            step = self.integer()?;
        }
        Ok(Selector::Slice {
            start,
            end,
            step: step.unwrap_or(1),
        })
    }

    fn integer(&mut self) -> Result<Option<i64>> {
        let text = self.take_while(|b| b.is_ascii_digit() || b == b'-')?;
        if text.is_empty() {
            Ok(None)
        } else {
            text.parse().map(Some).map_err(|_| PathError)
        }
    }

    /// A string in single or double quotes, with backslash escapes.
    fn quoted(&mut self) -> Result<String> {
        let quote = self.peek().ok_or(PathError)?;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = self.peek().ok_or(PathError)?;
            self.at += 1;
            match byte {
                _ if byte == quote => return String::from_utf8(out).map_err(|_| PathError),
                b'\\' => {
                    let escaped = self.peek().ok_or(PathError)?;
                    self.at += 1;
                    out.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                }
                _ => out.push(byte),
            }
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting == MAX_NESTING {
            return Err(PathError);
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    /// Conditions joined by `||`.
    fn any_of(&mut self) -> Result<Condition> {
        self.nested(|parser| {
            let mut conditions = vec![parser.all_of()?];
            while parser.eat(b"||") {
                conditions.push(parser.all_of()?);
            }
            Ok(if conditions.len() == 1 {
                conditions.remove(0)
            } else {
                Condition::Any(conditions)
            })
        })
    }

    /// Conditions joined by `&&`.
    fn all_of(&mut self) -> Result<Condition> {
        let mut conditions = vec![self.condition()?];
        while self.eat(b"&&") {
            conditions.push(self.condition()?);
        }
        Ok(if conditions.len() == 1 {
            conditions.remove(0)
        } else {
            Condition::All(conditions)
        })
    }

    fn condition(&mut self) -> Result<Condition> {
        self.blanks();
        let condition = if self.starts_with(b"!") && !self.starts_with(b"!=") {
            self.at += 1;
            Condition::Not(Box::new(self.nested(Self::condition)?))
        } else if self.eat(b"(") {
            let inner = self.any_of()?;
            self.blanks();
            self.need(b")")?;
            inner
        } else {
            self.comparison()?
        };
        self.blanks();
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition> {
        const OPERATORS: [(&[u8], Comparison); 7] = [
            (b"==", Comparison::Equal),
            (b"!=", Comparison::NotEqual),
            (b"<=", Comparison::LessOrEqual),
            (b">=", Comparison::GreaterOrEqual),
            (b"<", Comparison::Less),
            (b">", Comparison::Greater),
            (b"=~", Comparison::Matches),
        ];
        let left = self.term()?;
        self.blanks();
        let found = OPERATORS.iter().find(|(word, _)| self.starts_with(word));
        let Some((word, comparison)) = found else {
            return Ok(Condition::Exists(left));
        };
        self.at += word.len();
        self.blanks();
        let right = self.term()?;
        Condition::compare(left, *comparison, right)
    }

    fn term(&mut self) -> Result<Term> {
        match self.peek().ok_or(PathError)? {
            root @ (b'@' | b'$') => {
                self.at += 1;
                let segments = self.nested(Self::segments)?;
                Ok(Term::Path {
                    root: root == b'$',
                    segments,
                })
            }
            b'\'' | b'"' => self
                .quoted()
                .map(|text| Term::Value(Node::Str(text.into()))),
            _ => {
                let word = self
                    .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))?;
                let value = match word {
                    "true" => Node::Bool(true),
                    "false" => Node::Bool(false),
                    "null" => Node::Null,
                    _ => number(word)?,
                };
                Ok(Term::Value(value))
            }
        }
    }
}

fn number(word: &str) -> Result<Node> {
    if let Ok(n) = word.parse::<i64>() {
        return Ok(Node::Int(n));
    }
    // Words such as `inf` are no numbers here.
    if !word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Err(PathError);
    }
    word.parse::<f64>()
        .ok()
        .filter(|n| n.is_finite())
        .map(Node::Float)
        .ok_or(PathError)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'-' | b':' | b'@' | b'/' | b'#' | b'$' | b'%' | b'+' | b'~'
        )
        || !byte.is_ascii()
}

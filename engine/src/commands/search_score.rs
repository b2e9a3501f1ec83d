//! SCOREFUNC: numbers of a document that change how well it matches.

use super::search::utf8;
use crate::error::{Error, SYNTAX};
use crate::parse::Walk;
use crate::search::{Doc, Index, Kind, Value, invalid};

/// How numbers of a document change its score.
#[derive(Debug, Default)]
pub(super) struct ScoreFunction<'a> {
    fields: Vec<FieldValue<'a>>,
    mode: Mode,
    combine: Mode,
}

#[derive(Debug)]
struct FieldValue<'a> {
    field: &'a str,
    modifier: &'a [u8],
    factor: f64,
    missing: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Multiply,
    Sum,
    Replace,
}

impl<'a> ScoreFunction<'a> {
    pub(super) fn parse(walk: &mut Walk<'a>) -> Result<Self, Error> {
        let mut function = Self::default();
        loop {
            if walk.word("FIELDVALUE") {
                let mut value = FieldValue {
                    field: utf8(walk.need()?)?,
                    modifier: b"NONE",
                    factor: 1.0,
                    missing: 0.0,
                };
                loop {
                    if walk.word("MODIFIER") {
                        value.modifier = walk.need()?;
                    } else if walk.word("FACTOR") {
                        value.factor = crate::parse::float(walk.need()?)?;
                    } else if walk.word("MISSING") {
                        value.missing = crate::parse::float(walk.need()?)?;
                    } else {
                        break;
                    }
                }
                // Unknown modifiers are refused before anything is scored.
                modify(value.modifier, 1.0)?;
                function.fields.push(value);
            } else if walk.word("SCOREMODE") {
                function.mode = Mode::parse(walk.need()?, true)?;
            } else if walk.word("COMBINEMODE") {
                function.combine = Mode::parse(walk.need()?, false)?;
            } else {
                break;
            }
        }
        if function.fields.is_empty() {
            Err(SYNTAX)
        } else {
            Ok(function)
        }
    }

    pub(super) fn score(&self, index: &Index, doc: &Doc, score: f64) -> Result<f64, Error> {
        let mut combined: Option<f64> = None;
        for value in &self.fields {
            let at = fast_field(index, value.field, &[Kind::U64, Kind::I64, Kind::F64])?;
            let number = doc
                .values
                .get(at)
                .and_then(|values| values.first())
                .and_then(Value::as_f64);
            let modified = match number {
                Some(number) => modify(value.modifier, number)?,
                None => None,
            };
            let number = match modified {
                Some(number) => number,
                // The fallback is modified, too, where that is possible.
                None => modify(value.modifier, value.missing)?.unwrap_or(value.missing),
            } * value.factor;
            combined = Some(match (combined, self.combine) {
                (None, _) => number,
                (Some(before), Mode::Sum) => before + number,
                (Some(before), _) => before * number,
            });
        }
        let combined = combined.unwrap_or(1.0);
        Ok(match self.mode {
            Mode::Multiply => score * combined,
            Mode::Sum => score + combined,
            Mode::Replace => combined,
        })
    }
}

impl Mode {
    fn parse(text: &[u8], may_replace: bool) -> Result<Self, Error> {
        match &*text.to_ascii_uppercase() {
            b"MULTIPLY" => Ok(Self::Multiply),
            b"SUM" => Ok(Self::Sum),
            b"REPLACE" if may_replace => Ok(Self::Replace),
            _ => Err(SYNTAX),
        }
    }
}

/// The modified number, `None` where it is not defined.
fn modify(modifier: &[u8], number: f64) -> Result<Option<f64>, Error> {
    let modified = match &*modifier.to_ascii_uppercase() {
        b"NONE" => number,
        b"LOG" => number.log10(),
        b"LOG1P" => (1.0 + number).log10(),
        b"LOG2P" => (2.0 + number).log10(),
        b"LN" => number.ln(),
        b"LN1P" => number.ln_1p(),
        b"LN2P" => (2.0 + number).ln(),
        b"SQUARE" => number * number,
        b"SQRT" => number.sqrt(),
        b"RECIPROCAL" => 1.0 / number,
        _ => return Err(SYNTAX),
    };
    Ok(modified.is_finite().then_some(modified))
}

/// A FAST field of one of these types.
pub(super) fn fast_field(index: &Index, name: &str, kinds: &[Kind]) -> Result<usize, Error> {
    let found = index
        .definition
        .field(name)
        .filter(|(_, field)| field.fast && kinds.contains(&field.kind));
    found
        .map(|(at, _)| at)
        .ok_or_else(|| invalid(&format!("'{name}' is no FAST field of a fitting type")))
}

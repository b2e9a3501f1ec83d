//! From the JSON filter to a query.

use std::ops::Bound;

use regex_lite::RegexBuilder;

use super::operand::{invalid, number, option, value_of};
use super::query::{Clauses, Query, any, phrase_of};
use super::schema::{Definition, Field, Kind, float_order};
use super::text::Fuzziness;
use crate::error::Error;
use crate::json::Node;

/// Boosts of the parts of a smart search: the exact term, the phrase, the phrase with gaps, all terms.
const EXACT_BOOST: f64 = 5.0;
const PHRASE_BOOST: f64 = 8.0;
const GAPS_BOOST: f64 = 4.0;
const TERMS_BOOST: f64 = 2.0;
/// Words that may come between those of a phrase in a smart search.
const SMART_SLOP: u32 = 3;

/// Parses a filter: `{}` means everything.
pub(crate) fn parse(definition: &Definition, filter: &Node) -> Result<Query, Error> {
    let members = filter
        .as_object()
        .ok_or_else(|| invalid("the filter must be an object"))?;
    if members.is_empty() {
        return Ok(Query::All);
    }
    let mut clauses = Clauses::default();
    let mut boost = None;
    for (name, value) in members {
        match &**name {
            "$and" | "$must" => clauses.must.extend(conditions(definition, value)?),
            "$or" => {
                let should = conditions(definition, value)?;
                clauses.must.push(Query::Bool(Clauses {
                    should,
                    ..Clauses::default()
                }));
            }
            "$should" => clauses.should.extend(conditions(definition, value)?),
            "$mustNot" => clauses.must_not.extend(conditions(definition, value)?),
            "$boost" => boost = Some(number(value, "$boost")?),
            name if name.starts_with('$') => {
                return Err(invalid(&format!("unknown operator '{name}'")));
            }
            name => clauses.must.push(field(definition, name, value)?),
        }
    }
    Ok(boosted(Query::Bool(clauses), boost))
}

fn boosted(query: Query, boost: Option<f64>) -> Query {
    match boost {
        Some(boost) => Query::Boost(Box::new(query), boost),
        None => query,
    }
}

/// The conditions of a boolean operator: the elements of a list, or the members of an object.
fn conditions(definition: &Definition, value: &Node) -> Result<Vec<Query>, Error> {
    match value {
        Node::Array(items) => items.iter().map(|item| parse(definition, item)).collect(),
        Node::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let one = std::iter::once((name.clone(), value.clone())).collect();
                parse(definition, &Node::Object(one))
            })
            .collect(),
        _ => Err(invalid(
            "a boolean operator takes an object or a list of objects",
        )),
    }
}

/// The conditions on one field.
fn field(definition: &Definition, name: &str, value: &Node) -> Result<Query, Error> {
    let (at, field) = definition
        .field(name)
        .ok_or_else(|| invalid(&format!("field '{name}' is not in the schema")))?;
    let target = Target {
        definition,
        at,
        field,
    };
    let Some(operators) = value.as_object() else {
        return target.smart(value);
    };
    let mut clauses = Clauses::default();
    let mut boost = None;
    for (operator, operand) in operators {
        match &**operator {
            "$boost" => boost = Some(number(operand, "$boost")?),
            "$ne" => {
                clauses.must.push(Query::All);
                clauses.must_not.push(target.equal(operand)?);
            }
            operator => clauses.must.push(target.operator(operator, operand)?),
        }
    }
    let query = if clauses.must.len() == 1 && clauses.must_not.is_empty() {
        clauses.must.remove(0)
    } else {
        Query::Bool(clauses)
    };
    Ok(boosted(query, boost))
}

/// The field a condition is about.
struct Target<'d> {
    definition: &'d Definition,
    at: usize,
    field: &'d Field,
}

impl Target<'_> {
    fn operator(&self, operator: &str, operand: &Node) -> Result<Query, Error> {
        match operator {
            "$eq" => self.equal(operand),
            "$smart" => self.smart(operand),
            "$in" => {
                let items = operand
                    .as_array()
                    .ok_or_else(|| invalid("$in takes a list"))?;
                let should = items
                    .iter()
                    .map(|item| self.equal(item))
                    .collect::<Result<Vec<Query>, Error>>()?;
                Ok(if should.is_empty() {
                    Query::Nothing
                } else {
                    any(should)
                })
            }
            "$gt" | "$gte" | "$lt" | "$lte" => self.range(operator, operand),
            "$phrase" | "$fuzzy" | "$regex" | "$contains" if !self.field.kind.is_text() => {
                Err(invalid(&format!(
                    "{operator} needs a TEXT field, '{}' is {}",
                    self.field.name,
                    self.field.kind.name()
                )))
            }
            "$phrase" => self.phrase(operand),
            "$fuzzy" => self.fuzzy(operand),
            "$regex" => self.regex(operand),
            "$contains" => self.contains(operand),
            _ => Err(invalid(&format!("unknown operator '{operator}'"))),
        }
    }

    fn terms(&self, text: &str) -> Vec<String> {
        self.definition.analysis(self.field).terms(text)
    }

    fn text<'n>(&self, operand: &'n Node) -> Result<&'n str, Error> {
        operand
            .as_str()
            .ok_or_else(|| invalid(&format!("'{}' needs a string", self.field.name)))
    }

    fn equal(&self, operand: &Node) -> Result<Query, Error> {
        let field = self.at;
        match self.field.kind {
            Kind::Text { .. } => {
                let terms = self.terms(self.text(operand)?);
                Ok(phrase_of(field, terms, 0))
            }
            Kind::Keyword | Kind::Facet => Ok(Query::Word {
                field,
                word: self.text(operand)?.to_owned(),
            }),
            _ => match self.bounds(operand)? {
                (Some(order), _) => Ok(Query::Numbers {
                    field,
                    low: Bound::Included(order),
                    high: Bound::Included(order),
                }),
                // A fraction equals no integer.
                (None, _) => Ok(Query::Nothing),
            },
        }
    }

    /// The order of a number in this field, and the integer below it if it lies between two.
    fn bounds(&self, operand: &Node) -> Result<(Option<i128>, i128), Error> {
        if let (Kind::U64 | Kind::I64, Node::Float(number)) = (self.field.kind, operand)
            && number.fract() != 0.0
        {
            return Ok((None, number.floor() as i128));
        }
        let kind = if self.field.kind == Kind::U64 {
            Kind::I64
        } else {
            self.field.kind
        };
        let order = match (kind, operand) {
            // A bound outside the range of the type is no error.
            (Kind::I64, Node::Uint(n)) => Some(i128::from(*n)),
            (Kind::I64, Node::Float(n)) => Some(*n as i128),
            (Kind::F64, _) => operand.as_f64().map(float_order),
            _ => kind.value(operand).and_then(|value| value.order()),
        };
        let order = order.ok_or_else(|| {
            invalid(&format!(
                "'{}' is {}, the value has another type",
                self.field.name,
                self.field.kind.name()
            ))
        })?;
        Ok((Some(order), order))
    }

    fn range(&self, operator: &str, operand: &Node) -> Result<Query, Error> {
        let field = self.at;
        match self.field.kind {
            Kind::Text { .. } | Kind::Facet | Kind::Bool => Err(invalid(&format!(
                "{operator} cannot be used on '{}', which is {}",
                self.field.name,
                self.field.kind.name()
            ))),
            Kind::Keyword => {
                let (low, high) = ends(operator, self.text(operand)?.to_owned());
                Ok(Query::Words { field, low, high })
            }
            _ => {
                let (low, high) = match self.bounds(operand)? {
                    (Some(order), _) => ends(operator, order),
                    (None, below) if operator.starts_with("$g") => {
                        (Bound::Excluded(below), Bound::Unbounded)
                    }
                    (None, below) => (Bound::Unbounded, Bound::Included(below)),
                };
                Ok(Query::Numbers { field, low, high })
            }
        }
    }

    fn phrase(&self, operand: &Node) -> Result<Query, Error> {
        let text = value_of(operand)
            .ok_or_else(|| invalid("$phrase takes a string or an object with a value"))?;
        let slop = option(operand, "slop")
            .and_then(Node::as_f64)
            .unwrap_or(0.0)
            .clamp(0.0, 1000.0) as u32;
        let prefix = matches!(option(operand, "prefix"), Some(Node::Bool(true)));
        if prefix && slop > 0 {
            return Err(invalid("$phrase takes either slop or prefix"));
        }
        let mut terms = self.terms(text);
        if !prefix {
            return Ok(phrase_of(self.at, terms, slop));
        }
        let Some(stem) = terms.pop() else {
            return Ok(Query::Nothing);
        };
        let last = self
            .definition
            .analysis(self.field)
            .words(text)
            .pop()
            .unwrap_or_default();
        terms.push(stem);
        Ok(Query::Phrase {
            field: self.at,
            terms,
            slop: 0,
            prefix: Some(last),
        })
    }

    fn fuzzy(&self, operand: &Node) -> Result<Query, Error> {
        let text = value_of(operand)
            .ok_or_else(|| invalid("$fuzzy takes a string or an object with a value"))?;
        let distance =
            option(operand, "distance").map_or(Ok(1.0), |node| number(node, "distance"))?;
        if !(0.0..=2.0).contains(&distance) {
            return Err(invalid("distance must be 0, 1 or 2"));
        }
        let fuzziness = Fuzziness {
            distance: distance as usize,
            transpositions: !matches!(
                option(operand, "transpositionCostOne"),
                Some(Node::Bool(false))
            ),
            prefix: matches!(option(operand, "prefix"), Some(Node::Bool(true))),
        };
        let mut must = self.fuzzy_words(text, fuzziness);
        Ok(match must.len() {
            0 => Query::Nothing,
            1 => must.remove(0),
            _ => Query::Bool(Clauses {
                must,
                ..Clauses::default()
            }),
        })
    }

    fn fuzzy_words(&self, text: &str, fuzziness: Fuzziness) -> Vec<Query> {
        let words = self.definition.analysis(self.field).words(text);
        let stems = self.terms(text);
        words
            .iter()
            .zip(&stems)
            .map(|(word, stem)| Query::Fuzzy {
                field: self.at,
                word: word.chars().collect(),
                stem: stem.chars().collect(),
                fuzziness,
            })
            .collect()
    }

    fn regex(&self, operand: &Node) -> Result<Query, Error> {
        let pattern = value_of(operand).ok_or_else(|| invalid("$regex takes a string"))?;
        // Terms that were cut from a text are in lower case.
        let whole = self.definition.analysis(self.field).whole;
        let pattern = RegexBuilder::new(&format!("^(?:{pattern})$"))
            .case_insensitive(!whole)
            .size_limit(1 << 20)
            .build()
            .map_err(|_| invalid("$regex is no valid pattern"))?;
        Ok(Query::Regex {
            field: self.at,
            pattern,
        })
    }

    fn contains(&self, operand: &Node) -> Result<Query, Error> {
        let text = self.text(operand)?;
        let field = self.at;
        let mut terms = self.terms(text);
        let Some(stem) = terms.pop() else {
            return Ok(Query::Nothing);
        };
        let prefix = self
            .definition
            .analysis(self.field)
            .words(text)
            .pop()
            .unwrap_or_default();
        let mut must: Vec<Query> = terms
            .into_iter()
            .map(|term| Query::Term { field, term })
            .collect();
        must.push(Query::Prefix {
            field,
            prefix,
            stem,
        });
        Ok(Query::Bool(Clauses {
            must,
            ..Clauses::default()
        }))
    }

    /// What a plain value means: several strategies whose scores add up.
    fn smart(&self, operand: &Node) -> Result<Query, Error> {
        if !self.field.kind.is_text() {
            return self.equal(operand);
        }
        let text = self.text(operand)?;
        let field = self.at;
        if let Some(quoted) = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            return Ok(phrase_of(field, self.terms(quoted), 0));
        }
        let terms = self.terms(text);
        let similar = Fuzziness {
            distance: 1,
            transpositions: true,
            prefix: false,
        };
        let mut should = self.fuzzy_words(text, similar);
        should.extend(
            self.fuzzy_words(
                text,
                Fuzziness {
                    prefix: true,
                    ..similar
                },
            )
            .pop(),
        );
        match terms.len() {
            0 => return Ok(Query::Nothing),
            1 => should.push(Query::Boost(
                Box::new(phrase_of(field, terms, 0)),
                EXACT_BOOST,
            )),
            _ => {
                let all = terms
                    .iter()
                    .map(|term| Query::Term {
                        field,
                        term: term.clone(),
                    })
                    .collect();
                should.push(Query::Boost(Box::new(any(all)), TERMS_BOOST));
                should.push(Query::Boost(
                    Box::new(phrase_of(field, terms.clone(), SMART_SLOP)),
                    GAPS_BOOST,
                ));
                should.push(Query::Boost(
                    Box::new(phrase_of(field, terms, 0)),
                    PHRASE_BOOST,
                ));
            }
        }
        Ok(any(should))
    }
}

fn ends<T>(operator: &str, at: T) -> (Bound<T>, Bound<T>) {
    match operator {
        "$gt" => (Bound::Excluded(at), Bound::Unbounded),
        "$gte" => (Bound::Included(at), Bound::Unbounded),
        "$lt" => (Bound::Unbounded, Bound::Excluded(at)),
        _ => (Bound::Unbounded, Bound::Included(at)),
    }
}

//! Retrievers: what ranks documents, at the root of a query.

use super::filter;
use super::operand::{invalid, number};
use super::query::{Query, any};
use super::schema::Definition;
use crate::error::Error;
use crate::json::{Node, Object};

const NAMES: [&str; 3] = ["$standard", "$rrf", "$ann"];

/// What finds documents and ranks them.
#[derive(Debug)]
pub(crate) enum Retriever {
    /// One query.
    Standard(Query),
    /// Several queries whose ranks are merged.
    Rrf(Rrf),
}

/// Reciprocal rank fusion.
#[derive(Debug)]
pub(crate) struct Rrf {
    /// Queries with their weights.
    pub(crate) parts: Vec<(Query, f64)>,
    pub(crate) rank_constant: f64,
    /// How many results each query contributes, and how many are merged.
    pub(crate) window: Option<usize>,
}

impl Retriever {
    /// Parses a retriever, or a filter, which stands for one query.
    pub(crate) fn parse(definition: &Definition, node: &Node) -> Result<Self, Error> {
        match named(node)? {
            None => filter::parse(definition, node).map(Self::Standard),
            Some(("$rrf", body)) => Rrf::parse(definition, body).map(Self::Rrf),
            Some(("$standard", body)) => {
                if body
                    .as_object()
                    .is_some_and(|body| body.get("weight").is_some())
                {
                    return Err(invalid("'weight' has a meaning inside $rrf only"));
                }
                standard(definition, body).map(|(query, _)| Self::Standard(query))
            }
            Some((_, body)) => Err(semantic(definition, body)),
        }
    }

    /// A query for all documents that may be found.
    pub(crate) fn into_query(self) -> Query {
        match self {
            Self::Standard(query) => query,
            Self::Rrf(rrf) => any(rrf.parts.into_iter().map(|(query, _)| query).collect()),
        }
    }
}

impl Rrf {
    fn parse(definition: &Definition, body: &Node) -> Result<Self, Error> {
        let mut rrf = Self {
            parts: Vec::new(),
            rank_constant: 60.0,
            window: None,
        };
        for (name, value) in members(body, "$rrf")? {
            match &**name {
                "retrievers" => {
                    let Node::Array(retrievers) = value else {
                        return Err(invalid("'retrievers' must be a list"));
                    };
                    if !(2..=10).contains(&retrievers.len()) {
                        return Err(invalid("$rrf takes 2 to 10 retrievers"));
                    }
                    for retriever in retrievers {
                        rrf.parts.push(part(definition, retriever)?);
                    }
                }
                "rankConstant" => {
                    rrf.rank_constant = integer(value, name, i32::MAX.into())? as f64;
                }
                "window" => rrf.window = Some(integer(value, name, 11_000)? as usize),
                name => return Err(invalid(&format!("$rrf has no parameter '{name}'"))),
            }
        }
        if rrf.parts.is_empty() {
            return Err(invalid("$rrf needs 'retrievers'"));
        }
        Ok(rrf)
    }

    /// What a query adds to the score of the document it ranks here, counted from 1.
    pub(crate) fn points(&self, weight: f64, rank: usize) -> f64 {
        weight / (self.rank_constant + rank as f64)
    }
}

/// The retriever of an object, with its parameters; it must be alone.
fn named(node: &Node) -> Result<Option<(&'static str, &Node)>, Error> {
    let members = node.as_object();
    let Some(members) = members else {
        return Ok(None);
    };
    let found = NAMES
        .iter()
        .find_map(|name| Some((*name, members.get(*name)?)));
    match found {
        Some((name, _)) if members.len() > 1 => Err(invalid(&format!(
            "'{name}' must be the only key of its object"
        ))),
        found => Ok(found),
    }
}

/// An entry of `retrievers`: a query and its weight.
fn part(definition: &Definition, node: &Node) -> Result<(Query, f64), Error> {
    match named(node)? {
        None => Ok((filter::parse(definition, node)?, 1.0)),
        Some(("$standard", body)) => standard(definition, body),
        Some(("$rrf", _)) => Err(invalid("$rrf cannot be used inside $rrf")),
        Some((_, body)) => Err(semantic(definition, body)),
    }
}

fn standard(definition: &Definition, body: &Node) -> Result<(Query, f64), Error> {
    let (mut query, mut weight) = (None, 1.0);
    for (name, value) in members(body, "$standard")? {
        match &**name {
            "query" => query = Some(filter::parse(definition, value)?),
            "weight" => {
                weight = number(value, "weight")?;
                if !(0.0..=f64::MAX).contains(&weight) {
                    return Err(invalid("'weight' must be 0 or greater"));
                }
            }
            name => return Err(invalid(&format!("$standard has no parameter '{name}'"))),
        }
    }
    let query = query.ok_or_else(|| invalid("$standard needs 'query'"))?;
    Ok((query, weight))
}

/// Why there is no search by meaning.
fn semantic(definition: &Definition, body: &Node) -> Error {
    let members = match members(body, "$ann") {
        Ok(members) => members,
        Err(error) => return error,
    };
    let field = members.get("field").and_then(Node::as_str);
    let field = field.and_then(|name| definition.field(name));
    if !field.is_some_and(|(_, field)| field.hybrid) {
        return invalid("the 'field' of $ann must be a HYBRID field");
    }
    let text = members.get("query").and_then(Node::as_str);
    if text.is_none_or(str::is_empty) {
        return invalid("the 'query' of $ann must be a text");
    }
    invalid(
        "$ann needs an embedding model, which this server does not have; HYBRID fields are searched by their words only",
    )
}

fn members<'n>(body: &'n Node, name: &str) -> Result<&'n Object, Error> {
    body.as_object()
        .ok_or_else(|| invalid(&format!("'{name}' must be an object")))
}

fn integer(value: &Node, name: &str, most: i64) -> Result<i64, Error> {
    match value {
        Node::Int(value) if (1..=most).contains(value) => Ok(*value),
        _ => Err(invalid(&format!(
            "'{name}' must be an integer from 1 to {most}"
        ))),
    }
}

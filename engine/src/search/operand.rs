//! Operands of filters and aggregations.

use crate::error::Error;
use crate::json::Node;

/// The string of an operand: itself, or its `value` or `query`.
pub(super) fn value_of(operand: &Node) -> Option<&str> {
    operand.as_str().or_else(|| {
        option(operand, "value")
            .or_else(|| option(operand, "query"))?
            .as_str()
    })
}

pub(super) fn option<'n>(operand: &'n Node, name: &str) -> Option<&'n Node> {
    operand.as_object()?.get(name)
}

pub(super) fn number(node: &Node, name: &str) -> Result<f64, Error> {
    node.as_f64()
        .ok_or_else(|| invalid(&format!("{name} must be a number")))
}

pub(crate) fn invalid(reason: &str) -> Error {
    Error::new(format!("ERR invalid query: {reason}"))
}

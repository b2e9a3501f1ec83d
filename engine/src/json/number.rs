//! Arithmetic that keeps integers exact as long as they fit.

use super::node::Node;

/// Why a calculation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    NotANumber,
    /// Infinite or undefined.
    OutOfRange,
}

/// The sum of two numbers.
pub(crate) fn add(a: &Node, b: &Node) -> Result<Node, NumberError> {
    calculate(a, b, i64::checked_add, |a, b| a + b)
}

/// The product of two numbers.
pub(crate) fn multiply(a: &Node, b: &Node) -> Result<Node, NumberError> {
    calculate(a, b, i64::checked_mul, |a, b| a * b)
}

fn calculate(
    a: &Node,
    b: &Node,
    exact: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Result<Node, NumberError> {
    if let (&Node::Int(a), &Node::Int(b)) = (a, b)
        && let Some(result) = exact(a, b)
    {
        return Ok(Node::Int(result));
    }
    let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else {
        return Err(NumberError::NotANumber);
    };
    let result = float(a, b);
    if result.is_finite() {
        Ok(Node::Float(result))
    } else {
        Err(NumberError::OutOfRange)
    }
}

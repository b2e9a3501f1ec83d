//! The `restis` command.
fn main() {}

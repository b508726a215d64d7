//! The `shaketable` binary.
fn main() {}

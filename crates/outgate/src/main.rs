//! The command line of Outgate.
fn main() {}

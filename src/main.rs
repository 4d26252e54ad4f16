//! The command line of chatbridge.
fn main() {}

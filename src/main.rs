//! The command line: parse, load the configuration, call.

fn main() {}

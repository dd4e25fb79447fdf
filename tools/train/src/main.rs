//! The `antiphon-train` command.

fn main() {}

//! Control and sight from outside: what other programs and people far from the keyboard see and ask for.

pub mod http;
pub mod osc;

//! A simulated player: phrases of real pieces, and what came of playing them.

pub mod outcome;
pub mod phrases;
pub mod virtually;

//! A running Antiphon, watched and steered from a terminal: the other end of [`crate::surface::http`].
//!
//! [`Link`] keeps the connection on threads of its own. What it hears goes into a [`Scene`], which is plain data; a
//! [`draw`] draws the scene, [`Hands`] make [`Wish`]es of keys. Nothing here knows the session from inside, so a monitor of one
//! machine may watch the daemon of another.

mod address;
mod hands;
mod help;
mod link;
mod look;
mod painting;
mod panes;
mod roll;
mod scene;
mod screen;
mod snapshot;
mod steps;
mod wire;

pub use address::Address;
pub use hands::{Hands, Outcome, Pane};
pub use link::{Link, List, Unanswered, Wish, Word, ask};
pub use look::Look;
pub use scene::Scene;
pub use screen::draw;
pub use snapshot::{as_json, as_text};

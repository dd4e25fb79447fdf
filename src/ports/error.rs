//! Why ports could not be opened, and what to do.

use thiserror::Error;

use super::PortName;

/// Why the ports could not be opened.
#[derive(Debug, Error)]
pub enum PortError {
    /// The MIDI system is not there.
    #[error("{system} is not available: {why}")]
    Unavailable {
        /// Its name.
        system: &'static str,
        /// What it said, or what to do.
        why: String,
    },
    /// No port of that name.
    #[error("no {direction} port is called {wanted:?}; {}", listing(.there))]
    Unknown {
        /// `input` (one that sends to us) or `output`.
        direction: &'static str,
        /// What was asked for.
        wanted: String,
        /// The ports there are.
        there: Vec<String>,
    },
    /// Several ports match.
    #[error("{wanted:?} fits several {direction} ports: {}; name one in full", .matching.join(", "))]
    Ambiguous {
        /// `input` (one that sends to us) or `output`.
        direction: &'static str,
        /// What was asked for.
        wanted: String,
        /// The ports that match.
        matching: Vec<String>,
    },
    /// Somebody has the name already.
    #[error(
        "{holder} is called {:?} on {system} already; end it, or give this one another name: --name other",
        .name.client()
    )]
    NameTaken {
        /// Who.
        holder: String,
        /// The name.
        name: PortName,
        /// The system's name.
        system: &'static str,
    },
    /// A port refused.
    #[error("{system} refused the port {port:?}: {why}")]
    Refused {
        /// The system's name.
        system: &'static str,
        /// The port.
        port: String,
        /// What it said.
        why: String,
    },
}

fn listing(ports: &[String]) -> String {
    if ports.is_empty() { "there is none".into() } else { format!("there are: {}", ports.join(", ")) }
}

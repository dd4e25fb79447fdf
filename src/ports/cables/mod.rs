//! Cables: ports that are attached to by name, and how they stand.
//!
//! A port that was named stays wanted: when it goes it is waited for, and when it comes back, by its stable name and not
//! by a number that changes, it is attached again. A thread of its own looks after this ([`Keeper`]), told by the
//! system that ports come and go and, where it is not told, by looking. Nobody who keeps time ever waits for it.

mod keeper;
mod seek;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;
pub use keeper::Keeper;
pub(super) use keeper::{Board, CableId, Door};
pub(super) use seek::{Found, stable_name};
use serde::{Deserialize, Serialize};

use super::offset::Destination;

/// Cables that may be wanted at once. More are refused.
pub const MOST: usize = 48;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The port sends to us.
    From,
    /// We send to the port.
    To,
}

impl Direction {
    /// What such a port is called in messages, seen from us.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::From => "input",
            Self::To => "output",
        }
    }
}

/// How a cable stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CableState {
    /// Messages go through it.
    Attached,
    /// Its port has not been there yet, or could not be attached.
    Waiting,
    /// Its port was there and has gone; it is waited for.
    Gone,
    /// The port is there, but somebody has unplugged it by hand. It is left so until it goes and comes back, or is asked
    /// for again.
    Unplugged,
}

impl CableState {
    /// Whether no messages go through a port that is wanted, because it is not there.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Waiting | Self::Gone)
    }
}

/// A port that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cable {
    /// Which way messages go.
    pub direction: Direction,
    /// Its name or a part of it, as it was asked for.
    pub name: String,
    /// How it stands.
    pub state: CableState,
    /// The whole name of the port that it is attached to, or was.
    pub port: Option<String>,
    /// Why it waits, when it is not simply that no such port is there.
    pub why: Option<String>,
}

impl fmt::Display for Cable {
    /// The port's whole name, if it was ever there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.port.as_deref().unwrap_or(&self.name))
    }
}

/// All ports: those that are wanted, and those that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The MIDI system, in words.
    pub system: String,
    /// Whether it is there. JACK may go and come back.
    pub runs: bool,
    /// What is wanted by name, in the order in which it was asked for.
    pub cables: Vec<Cable>,
    /// Ports that can send to us.
    pub from: Vec<String>,
    /// Ports that we can send to.
    pub to: Vec<String>,
}

impl Ports {
    /// Whole names of the ports that are attached.
    pub fn attached(&self, direction: Direction) -> impl Iterator<Item = &str> {
        let attached = move |cable: &&Cable| cable.direction == direction && cable.state == CableState::Attached;
        self.cables.iter().filter(attached).filter_map(|cable| cable.port.as_deref())
    }

    /// Cables whose ports are not there.
    pub fn missing(&self) -> impl Iterator<Item = &Cable> {
        self.cables.iter().filter(|cable| cable.state.is_missing())
    }
}

/// What the keeper is asked.
pub(super) enum Wish {
    /// Something has changed: look.
    #[cfg_attr(not(feature = "jack"), allow(dead_code, reason = "JACK alone tells of what has changed"))]
    Look,
    /// Want this port.
    Attach(Direction, Destination),
    /// Want it no longer: its name as it was asked for, or the port's whole name.
    Detach(Direction, String),
    /// End.
    End,
}

/// A way to see the ports and to attach and detach from any thread while it plays.
///
/// What is asked for is done at once where it can be; what became of it is shown as
/// [`Sight::Ports`](crate::sight::Sight::Ports) and in [`Cables::ports`].
#[derive(Clone)]
pub struct Cables {
    wishes: Sender<Wish>,
    ports: Arc<Mutex<Arc<Ports>>>,
}

impl Cables {
    /// How things stand.
    pub fn ports(&self) -> Arc<Ports> {
        Arc::clone(&self.ports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wants this port, which sends to us, by its name or a part of it. One that is not there is waited for.
    pub fn attach_from(&self, name: &str) {
        let source = Destination { name: name.to_owned(), offset: super::Offset::default() };
        self.wish(Wish::Attach(Direction::From, source));
    }

    /// Wants this port, which we send to. One that is not there is waited for.
    pub fn attach_to(&self, destination: Destination) {
        self.wish(Wish::Attach(Direction::To, destination));
    }

    /// Wants a port no longer: by its name as it was asked for, or by its whole name.
    pub fn detach(&self, direction: Direction, name: &str) {
        self.wish(Wish::Detach(direction, name.to_owned()));
    }

    /// Nothing happens when the session is over.
    fn wish(&self, wish: Wish) {
        let _ = self.wishes.send(wish);
    }

    fn publish(&self, ports: Arc<Ports>) {
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }
}

/// Tells the keeper that something has changed. Never waits: with a full queue the keeper is about to look anyway.
#[cfg_attr(not(feature = "jack"), allow(dead_code, reason = "JACK alone tells of what has changed"))]
#[derive(Clone)]
pub(super) struct Bell(Sender<Wish>);

#[cfg_attr(not(feature = "jack"), allow(dead_code, reason = "JACK alone tells of what has changed"))]
impl Bell {
    /// Thread: any. Realtime-safe: not quite, it may wake a thread by a system call.
    pub fn ring(&self) {
        let _ = self.0.try_send(Wish::Look);
    }
}

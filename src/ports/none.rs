//! No MIDI system: the player's thread without a port.

use super::cables::{Board, CableId, Door, Found};
use super::player_thread::{PlayerThread, Started};
use super::{Attachments, Destination, Direction, Keeper, Offset, OpenPorts, PlayerLink, PortError, Wiring};
use crate::conductor::LEAD;

/// Opens nothing; no port can be named.
pub(super) fn open(attachments: &Attachments, mut wiring: Wiring) -> Result<OpenPorts, PortError> {
    let named = attachments.from.first().map(|name| ("input", name));
    if let Some((direction, name)) = named.or(attachments.to.first().map(|to| ("output", &to.name))) {
        return Err(PortError::Unknown { direction, wanted: name.clone(), there: Vec::new() });
    }
    let Started { orders, thread, timing, .. } = PlayerThread::start(None, Offset::default(), &mut wiring)?;
    let shown = (wiring.clock, wiring.status, wiring.watchers);
    let keeper = Keeper::start(Door::new(), Box::new(NoBoard), [], attachments.required, shown)?;
    Ok(OpenPorts {
        system: "none".to_owned(),
        timing,
        lead: LEAD,
        listening: None,
        sending: None,
        player: PlayerLink::Thread(orders),
        keeper,
        inputs: Vec::new(),
        release: thread.release(),
        silence: thread.silence(&wiring.routing),
        name_lock: None,
        output: Box::new(thread),
    })
}

/// There is nothing to attach to.
struct NoBoard;

impl Board for NoBoard {
    fn system(&self) -> String {
        "none".to_owned()
    }

    fn there(&mut self) -> Option<[Vec<Found>; 2]> {
        Some([Vec::new(), Vec::new()])
    }

    fn accepts(&self, direction: Direction, wanted: &Destination) -> Result<(), PortError> {
        Err(PortError::Unknown { direction: direction.name(), wanted: wanted.name.clone(), there: Vec::new() })
    }

    fn plug(&mut self, _: CableId, direction: Direction, port: &Found, _: Offset) -> Result<(), PortError> {
        Err(PortError::Unknown { direction: direction.name(), wanted: port.name.clone(), there: Vec::new() })
    }

    fn is_plugged(&mut self, _: CableId) -> bool {
        false
    }

    fn unplug(&mut self, _: CableId) {}

    fn remove(&mut self, _: CableId) {}
}

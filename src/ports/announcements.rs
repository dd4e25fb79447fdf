//! What the ALSA sequencer announces: ports that go, which midir does not tell, and its input is silent then without an
//! error; and ports that are plugged together.

use std::ffi::CString;

use alsa::seq::{Addr, EventType, PortCap, PortInfo, PortSubscribe, PortType};
use alsa::{Direction, Seq};

use super::PortName;

/// Ports that have gone, by their numbers.
pub(super) struct Announcements {
    seq: Seq,
}

/// What has gone: one port, or with no port number all of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    client: i32,
    port: Option<i32>,
}

impl Gone {
    /// Whether this was the port of that name, which ends in its numbers: `Keystation:MIDI 1 20:0`.
    pub fn is(self, name: &str) -> bool {
        let address = name.rsplit(' ').next().and_then(|address| address.split_once(':'));
        address.is_some_and(|(client, port)| {
            client.parse() == Ok(self.client) && self.port.is_none_or(|gone| port.parse() == Ok(gone))
        })
    }
}

impl Announcements {
    /// Listens from now on; `None` where the sequencer does not let us.
    pub fn listen(name: &PortName) -> Option<Self> {
        let seq = Seq::open(None, Some(Direction::Capture), true).ok()?;
        seq.set_client_name(&CString::new(name.client()).ok()?).ok()?;
        let mut port = PortInfo::empty().ok()?;
        // For ourselves only: without SUBS_WRITE nobody else can send here, and nobody sees it.
        port.set_capability(PortCap::WRITE | PortCap::NO_EXPORT);
        port.set_type(PortType::APPLICATION);
        port.set_name(c"Announcements");
        seq.create_port(&port).ok()?;
        let subscription = PortSubscribe::empty().ok()?;
        subscription.set_sender(Addr::system_announce());
        subscription.set_dest(Addr { client: seq.client_id().ok()?, port: port.get_port() });
        seq.subscribe_port(&subscription).ok()?;
        Some(Self { seq })
    }

    /// Gives what has gone since the last call to `gone`; whether two ports have been plugged together meanwhile.
    pub fn take(&self, mut gone: impl FnMut(Gone)) -> bool {
        let mut plugged = false;
        let mut input = self.seq.input();
        // Many more than can come between two looks, so that a broken sequencer does not keep us here.
        for _ in 0..4096 {
            if !input.event_input_pending(true).is_ok_and(|pending| pending > 0) {
                return plugged;
            }
            // After an overrun the next look finds by the list what has gone.
            let Ok(event) = input.event_input() else { continue };
            let of = event.get_data::<Addr>();
            match (event.get_type(), of) {
                (EventType::PortExit, Some(Addr { client, port })) => gone(Gone { client, port: Some(port) }),
                (EventType::ClientExit, Some(Addr { client, .. })) => gone(Gone { client, port: None }),
                (EventType::PortSubscribed, _) => plugged = true,
                _ => {}
            }
        }
        plugged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_is_known_by_the_numbers_behind_the_name() {
        let port = Gone { client: 20, port: Some(1) };
        assert!(port.is("Keystation:MIDI 2 20:1") && !port.is("Keystation:MIDI 1 20:0"));
        let client = Gone { client: 20, port: None };
        assert!(client.is("Keystation:MIDI 1 20:0") && !client.is("Keystation:MIDI 1 24:0") && !client.is("20"));
    }
}

//! The operating system's MIDI: ALSA sequencer, CoreMIDI, WinMM. Output goes through `midir`, as input does but on Linux.
//!
//! Each named port has a client of its own. midir does not tell that a port has gone, so the keeper looks at the list, and
//! on Linux hears the sequencer's announcements as well: a port may go and come back under the same number between two
//! looks.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender};
use midir::{MidiIO, MidiInput, MidiOutput as MidirOutput, MidiOutputConnection};

#[cfg(target_os = "linux")]
use super::announcements::Announcements;
use super::cables::{Board, CableId, Door, Found, stable_name};
#[cfg(not(target_os = "linux"))]
use super::midir_source::Source;
use super::name_lock::patiently;
use super::player_thread::wire::{MidiOutput, Wire};
use super::player_thread::{Change, PlayerThread, Scrap, Started};
#[cfg(target_os = "linux")]
use super::seq_source::Source;
use super::{
    Attachments, Destination, Direction, InputSink, Keeper, LOOKING, Offset, OpenPorts, Order, PlayerLink, PortError,
    PortName, Wiring,
};
use crate::conductor::LEAD;
use crate::midi::ShortMessage;
use crate::time::Clock;

/// The system's name on this platform.
pub(super) const NAME: &str = if cfg!(target_os = "linux") {
    "ALSA sequencer"
} else if cfg!(target_vendor = "apple") {
    "CoreMIDI"
} else if cfg!(windows) {
    "WinMM"
} else {
    "MIDI"
};

impl MidiOutput for MidiOutputConnection {
    fn send(&mut self, message: ShortMessage) -> bool {
        Self::send(self, message.as_bytes()).is_ok()
    }
}

/// Whether the system is there at all.
pub(super) fn probe() -> Result<(), PortError> {
    input_client().map(drop)
}

/// Names of the ports that can send to us, and of those that we can send to.
pub(super) fn list() -> Result<[Vec<String>; 2], PortError> {
    let (input, output) = (input_client()?, output_client(LOOKING)?);
    Ok([names(&input).1, names(&output).1])
}

/// Opens the virtual ports and attaches to the named ones.
pub(super) fn open(attachments: &Attachments, mut wiring: Wiring) -> Result<OpenPorts, PortError> {
    patiently(|| is_free(&wiring.name))?;
    let earliest = attachments.earliest();
    let output =
        virtual_output(&wiring.name)?.map(|output| (Box::new(output) as Box<dyn MidiOutput>, attachments.offset));
    let sending = output.as_ref().map(|_| wiring.name.output());
    let Started { orders, thread, timing, scrap } = PlayerThread::start(output, earliest, &mut wiring)?;
    let Wiring { name, clock, input, routing, status, watchers, .. } = wiring;
    let silence = thread.silence(&routing);
    let input = input.telling(orders.clone(), routing);
    let mut inputs: Vec<Box<dyn Send>> = Vec::new();
    let mut listening = None;
    if let Some(source) = Source::open_virtual(&name, clock, input.clone())? {
        inputs.push(Box::new(source));
        listening = Some(name.input());
    }
    let board = SystemBoard {
        clock,
        input,
        orders: orders.clone(),
        scrap,
        earliest,
        sources: BTreeMap::new(),
        plugged: BTreeMap::new(),
        turnover: 0,
        #[cfg(target_os = "linux")]
        announcements: Announcements::listen(&name),
        name,
    };
    let shown = (clock, status, watchers);
    let keeper = Keeper::start(Door::new(), Box::new(board), attachments.wanted(), attachments.required, shown)?;
    Ok(OpenPorts {
        system: NAME.to_owned(),
        timing,
        lead: LEAD + earliest.lead(),
        listening,
        sending,
        player: PlayerLink::Thread(orders),
        keeper,
        inputs,
        release: thread.release(),
        silence,
        name_lock: None,
        output: Box::new(thread),
    })
}

/// Whether no other program has ports of that name. Another Antiphon may belong to somebody else, whose lock is not seen.
fn is_free(name: &PortName) -> Result<(), PortError> {
    let [_, ports] = list()?;
    let (alone, whole) = (name.input(), format!("{}:{}", name.client(), name.input()));
    let is_ours = |port: &String| *port == alone || port.strip_prefix(&whole).is_some_and(|rest| rest.starts_with(' '));
    match ports.into_iter().find(is_ours) {
        None => Ok(()),
        Some(port) => {
            let holder = format!("another program (port {port:?})");
            Err(PortError::NameTaken { holder, name: name.clone(), system: NAME })
        }
    }
}

/// What is attached, by the operating system's own MIDI.
struct SystemBoard {
    name: PortName,
    clock: Clock,
    input: InputSink,
    orders: Sender<Order>,
    /// What the player's thread is done with.
    scrap: Receiver<Scrap>,
    /// The offset of the port at which messages leave first; the player's time is measured by it.
    earliest: Offset,
    sources: BTreeMap<CableId, Source>,
    /// The whole names of the ports that are plugged, and whether each is there still.
    plugged: BTreeMap<CableId, (String, bool)>,
    /// How many ports have gone.
    turnover: u64,
    #[cfg(target_os = "linux")]
    announcements: Option<Announcements>,
}

impl SystemBoard {
    fn tell_player(&self, change: Order) {
        // Waits while the queue is full: the thread empties it, or has ended already.
        let _ = self.orders.send(change);
    }

    /// The keys that a source held go up: it cannot say so any more.
    fn close(&mut self, id: CableId) {
        if let Some(source) = self.sources.remove(&id) {
            source.close();
        }
        self.plugged.remove(&id);
    }

    #[cfg(target_os = "linux")]
    fn hear_announcements(&mut self) {
        let Self { announcements, plugged, turnover, input, .. } = self;
        if let Some(announcements) = announcements {
            let plugged = announcements.take(|gone| {
                *turnover += 1;
                plugged.values_mut().filter(|(name, _)| gone.is(name)).for_each(|(_, there)| *there = false);
            });
            if plugged {
                input.routing().echoes.plugged();
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn hear_announcements(&mut self) {}
}

impl Board for SystemBoard {
    fn system(&self) -> String {
        NAME.to_owned()
    }

    fn there(&mut self) -> Option<[Vec<Found>; 2]> {
        self.scrap.try_iter().for_each(drop);
        self.hear_announcements();
        let [from, to] = list().ok()?;
        let found = |names: Vec<String>| {
            let others = names.into_iter().filter(|name| !is_own(&self.name, name));
            others.map(|name| Found { stable: stable_name(&name), name }).collect()
        };
        Some([found(from), found(to)])
    }

    fn turnover(&mut self) -> u64 {
        self.hear_announcements();
        self.turnover
    }

    fn accepts(&self, direction: Direction, wanted: &Destination) -> Result<(), PortError> {
        if direction == Direction::To && wanted.offset < self.earliest {
            let why = "it would be earlier than every port was at the beginning; start with it".to_owned();
            return Err(PortError::Refused { system: NAME, port: wanted.name.clone(), why });
        }
        Ok(())
    }

    fn plug(&mut self, id: CableId, direction: Direction, port: &Found, offset: Offset) -> Result<(), PortError> {
        match direction {
            Direction::From => {
                let source = Source::attach(&self.name, &port.name, self.clock, self.input.clone())?;
                self.sources.insert(id, source);
            }
            Direction::To => {
                let client = output_client(self.name.client())?;
                let (ports, there) = names(&client);
                let place = there.iter().position(|name| *name == port.name).ok_or_else(|| vanished(port))?;
                let connection = client
                    .connect(&ports[place], &self.name.output())
                    .map_err(|error| refused(&port.name, error.kind()))?;
                self.tell_player(Change::plug(Wire::new(Some(id), Box::new(connection), offset, self.earliest)));
            }
        }
        self.plugged.insert(id, (port.name.clone(), true));
        self.input.routing().echoes.plugged();
        Ok(())
    }

    fn is_plugged(&mut self, id: CableId) -> bool {
        self.plugged.get(&id).is_some_and(|(_, there)| *there)
    }

    fn unplug(&mut self, id: CableId) {
        if !self.sources.contains_key(&id) {
            self.tell_player(Change::unplug(id));
        }
        self.close(id);
    }

    fn remove(&mut self, id: CableId) {
        if !self.sources.contains_key(&id) {
            self.tell_player(Change::remove(id));
        }
        self.close(id);
    }
}

/// Whether a port is one of ours: on ALSA, of a client of our name.
fn is_own(own: &PortName, port: &str) -> bool {
    port.split_once(':').is_some_and(|(client, _)| client == own.client())
}

fn vanished(port: &Found) -> PortError {
    refused(&port.name, "it has just gone")
}

#[cfg(unix)]
fn virtual_output(name: &PortName) -> Result<Option<MidiOutputConnection>, PortError> {
    use midir::os::unix::VirtualOutput as _;
    let connection = output_client(name.client())?
        .create_virtual(&name.output())
        .map_err(|error| refused(&name.output(), error.kind()))?;
    Ok(Some(connection))
}

/// Windows has no virtual ports: a loopback port must be named instead.
#[cfg(not(unix))]
fn virtual_output(_: &PortName) -> Result<Option<MidiOutputConnection>, PortError> {
    Ok(None)
}

/// The device through which ALSA's sequencer is reached. Asked first, because ALSA's library writes to the terminal
/// when it is missing; our own sentence is enough.
#[cfg(target_os = "linux")]
const SEQUENCER: &str = "/dev/snd/seq";

#[cfg(target_os = "linux")]
pub(super) fn reachable() -> Result<(), PortError> {
    if std::path::Path::new(SEQUENCER).exists() {
        return Ok(());
    }
    let why = format!("there is no {SEQUENCER}; `sudo modprobe snd-seq` loads it where the kernel has it");
    Err(PortError::Unavailable { system: NAME, why })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reachable() -> Result<(), PortError> {
    Ok(())
}

/// A client that looks what there is.
fn input_client() -> Result<MidiInput, PortError> {
    reachable()?;
    MidiInput::new(LOOKING).map_err(|error| unavailable(&error))
}

fn output_client(name: &str) -> Result<MidirOutput, PortError> {
    reachable()?;
    MidirOutput::new(name).map_err(|error| unavailable(&error))
}

pub(super) fn names<Io: MidiIO>(client: &Io) -> (Vec<Io::Port>, Vec<String>) {
    client.ports().into_iter().filter_map(|port| client.port_name(&port).ok().map(|name| (port, name))).unzip()
}

pub(super) fn unavailable(error: &midir::InitError) -> PortError {
    PortError::Unavailable { system: NAME, why: error.to_string() }
}

pub(super) fn refused(port: &str, error: impl std::fmt::Display) -> PortError {
    PortError::Refused { system: NAME, port: port.to_owned(), why: error.to_string() }
}

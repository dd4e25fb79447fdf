//! JACK, and PipeWire's JACK: notes are queued ahead and placed to the frame inside `process()`.
//!
//! The player runs in JACK's own thread. What it hears and sends goes through rings to the pump, an ordinary thread
//! that hands it on to the conductor and the recorder.
//!
//! The server may go and come back, and may not be there yet when the session begins. The player and its ledgers are one
//! box ([`Performance`]), which the client's `process()` has while there is a server and the cables' keeper while there
//! is none: then what the conductor plans goes by unheard, so that nothing piles up, and the keeper knocks 4 times a
//! second. Nobody waits for the box: it lies in a channel of one place in between.

mod board;
mod ears;
mod frames;
mod performance;
mod placer;
mod process;
mod pump;
mod stale;
mod stranded;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use board::{JackBoard, Seat};
use jack::{Client, ClientOptions, LoggerType, PortFlags};
use performance::{Parts, Performance};
use process::Signals;
use pump::{PUMP_EVERY, Pump};
use rtrb::RingBuffer;

pub(super) use super::JACK as NAME;
use super::cables::{Board as _, Door};
use super::name_lock::patiently;
use super::{Attachments, Keeper, LOOKING, OpenPorts, PlayerLink, PortError, PortName, Release, Wiring};
use crate::player;

/// Messages between two visits of the pump: a second of MIDI at its full 31.25 kbaud on three cables.
const MESSAGES: usize = 4096;

/// Pieces of SysEx between two visits of the pump: seven times the most that a port's buffer holds.
const PIECES: usize = 1024;

/// Periods between the last note-offs and closing the port: the server passes them on in the second.
const PERIODS_AFTER_RELEASE: u32 = 3;

/// How long the last note-offs may take to leave: many periods of any server.
const RELEASE_WITHIN: Duration = Duration::from_millis(500);

/// How long the callbacks of a client that is to be closed may take.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);

/// The server that is planned for until there is one: rate and period of PipeWire as it comes.
const LIKELY: [u32; 2] = [48_000, 1024];

/// Whether a server runs.
pub(super) fn is_running() -> bool {
    looking().is_ok()
}

/// Names of the MIDI ports that can send to us, and of those that we can send to; or why there is no JACK.
pub(super) fn list() -> Result<[Vec<String>; 2], String> {
    let client = looking().map_err(|error| match error {
        PortError::Unavailable { why, .. } => why,
        other => other.to_string(),
    })?;
    Ok([others(&client, PortFlags::IS_OUTPUT), others(&client, PortFlags::IS_INPUT)])
}

/// Opens the two ports and attaches to the named ones. Without a server it waits for one, unless ports are required.
pub(super) fn open(attachments: &Attachments, wiring: Wiring) -> Result<OpenPorts, PortError> {
    library()?;
    let (commander, commands) = RingBuffer::new(2 * player::CAPACITY);
    let (heard, heard_at_pump) = RingBuffer::new(MESSAGES);
    let (sent, sent_at_pump) = RingBuffer::new(MESSAGES);
    let (pieces, pieces_at_pump) = RingBuffer::new(PIECES);
    let (signals, seat) = (Arc::new(Signals::default()), Arc::new(Seat::default()));
    let door = Door::new();
    let Wiring { name, clock, input, controls, record, routing, status, watchers, speaker } = wiring;
    let latency = attachments.offset;
    let silenced = Arc::clone(&routing);
    let performance = Performance::new(Parts {
        clock,
        latency,
        routing,
        speaker,
        controls,
        commands,
        heard,
        slicer: input.slicer(),
        pieces,
        sent,
        status: Arc::clone(&status),
        signals: Arc::clone(&signals),
    });
    let pump = Pump::start(input.clone(), heard_at_pump, pieces_at_pump, sent_at_pump, record, Arc::clone(&status))?;
    let mut board = JackBoard::new(
        name,
        (clock, input, latency),
        door.bell(),
        Arc::clone(&signals),
        Arc::clone(&seat),
        performance,
    );
    match patiently(|| board.connect()) {
        Ok(()) => {}
        Err(why @ PortError::NameTaken { .. }) => return Err(why),
        Err(why) if attachments.required => return Err(why),
        Err(_) => {
            let [rate, period] = LIKELY;
            board.plan_ahead(rate, period);
        }
    }
    let (system, lead, [listening, sending]) = (board.system(), board.lead(), board.own());
    let wanted = attachments.wanted();
    let keeper = Keeper::start(door, Box::new(board), wanted, attachments.required, (clock, status, watchers))?;
    Ok(OpenPorts {
        lead,
        system,
        timing: "to the frame, in JACK's own thread".to_owned(),
        listening: Some(listening),
        sending: Some(sending),
        player: PlayerLink::Ring(commander),
        keeper,
        inputs: Vec::new(),
        release: release(&signals, &seat),
        silence: Arc::new(move || silenced.call_for_silence()),
        name_lock: None,
        output: Box::new(Running { signals, seat, pump: Some(pump) }),
    })
}

/// Asked first, because much in the crate panics where JACK's library is missing.
fn library() -> Result<(), PortError> {
    jack::jack_sys::library().map(drop).map_err(|error| {
        let why = format!("its library is missing ({error}); install libjack-jackd2-0 or pipewire-jack");
        PortError::Unavailable { system: NAME, why }
    })
}

/// A client that looks what there is.
fn looking() -> Result<Client, PortError> {
    open_client(LOOKING)
}

/// The client that plays, under this name and no other.
fn client(name: &PortName) -> Result<Client, PortError> {
    let client = open_client(name.client())?;
    // JACK gives another name where there is one already. Asked for the exact one, it only says that something failed.
    if client.name() != name.client() {
        let holder = "another program".to_owned();
        return Err(PortError::NameTaken { holder, name: name.clone(), system: NAME });
    }
    Ok(client)
}

fn open_client(name: &str) -> Result<Client, PortError> {
    library()?;
    // JACK's library writes to the terminal when there is no server; our own sentence is enough.
    jack::set_logger(LoggerType::None);
    let (client, _) = Client::new(name, ClientOptions::NO_START_SERVER).map_err(|error| {
        let why = match error {
            jack::Error::ClientError(_) => "no server runs; start jackd or PipeWire".to_owned(),
            other => other.to_string(),
        };
        PortError::Unavailable { system: NAME, why }
    })?;
    Ok(client)
}

/// MIDI ports of other programs. A port of the kind `IS_OUTPUT` sends, seen from the server.
fn others(client: &Client, kind: PortFlags) -> Vec<String> {
    let own = format!("{}:", client.name());
    client.ports(None, Some("midi"), kind).into_iter().filter(|name| !name.starts_with(&own)).collect()
}

fn refused(port: &str, error: &jack::Error) -> PortError {
    PortError::Refused { system: NAME, port: port.to_owned(), why: error.to_string() }
}

/// Has JACK's thread release what sounds, and waits until that has left. Without a server nothing sounds.
fn release(signals: &Arc<Signals>, seat: &Arc<Seat>) -> Release {
    let (signals, seat) = (Arc::clone(signals), Arc::clone(seat));
    Arc::new(move |within| {
        let until = Instant::now() + within;
        signals.stopping.store(true, Relaxed);
        while signals.released.load(Relaxed) <= PERIODS_AFTER_RELEASE {
            if signals.gone.load(Relaxed) || seat.get().is_none() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(PUMP_EVERY);
        }
        true
    })
}

/// The client, whichever it is. Dropping it releases what sounds, waits until that has left, and closes the ports.
struct Running {
    signals: Arc<Signals>,
    seat: Arc<Seat>,
    pump: Option<Pump>,
}

impl Drop for Running {
    fn drop(&mut self) {
        release(&self.signals, &self.seat)(RELEASE_WITHIN);
        // Nothing can be done about a callback that lasts on.
        let _ = self.signals.leave(LEAVE_WITHIN);
        drop(self.seat.take());
        drop(self.pump.take());
    }
}

//! The operating system's MIDI through `midir`: ALSA sequencer, CoreMIDI, WinMM.

use std::sync::Arc;

use midir::{Ignore, MidiIO, MidiInput, MidiOutput as MidirOutput, MidiOutputConnection};

use super::player_thread::PlayerThread;
use super::stamps::Stamps;
use super::wire::{MidiOutput, Outlet, earliest};
use super::{
    Attachments, CLIENT_NAME, Destination, INPUT_NAME, InputSink, OUTPUT_NAME, OpenPorts, PlayerLink, PortError,
    Wiring, find_port,
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
    let (input, output) = (input_client()?, output_client()?);
    Ok([names(&input).1, names(&output).1])
}

/// Opens the virtual ports and attaches to the named ones.
pub(super) fn open(attachments: &Attachments, wiring: Wiring) -> Result<OpenPorts, PortError> {
    let Wiring { clock, input, controls: _, record, routing, status } = wiring;
    let mut listening = Vec::new();
    let mut sending = Vec::new();

    let mut outlets = Vec::new();
    if let Some(virtual_output) = virtual_output()? {
        outlets.push(Outlet { output: Box::new(virtual_output), offset: attachments.offset });
        sending.push(OUTPUT_NAME.to_owned());
    }
    for Destination { name, offset } in &attachments.to {
        let client = output_client()?;
        let (ports, there) = names(&client);
        let found = find_port("output", name, &there)?;
        let connection =
            client.connect(&ports[found], OUTPUT_NAME).map_err(|error| refused(&there[found], error.kind()))?;
        outlets.push(Outlet { output: Box::new(connection), offset: *offset });
        sending.push(there[found].clone());
    }

    // Named ports are looked up before any thread runs, so that a wrong name leaves nothing behind.
    let mut sources = Vec::new();
    for wanted in &attachments.from {
        let client = input_client()?;
        let (ports, there) = names(&client);
        let found = find_port("input", wanted, &there)?;
        sources.push((client, ports[found].clone(), there[found].clone()));
    }
    let lead = LEAD + earliest(&outlets).lead();
    let (sender, thread, timing) = PlayerThread::start(clock, outlets, Arc::clone(&routing), record, status)?;
    let input = input.telling(sender.clone(), routing);
    let mut inputs: Vec<Box<dyn Send>> = Vec::new();
    if let Some(connection) = virtual_input(Listening::new(clock, input.clone()))? {
        inputs.push(connection);
        listening.push(INPUT_NAME.to_owned());
    }
    for (client, port, name) in sources {
        let listener = Listening::new(clock, input.clone());
        let connection = client
            .connect(&port, INPUT_NAME, Listening::hear, listener)
            .map_err(|error| refused(&name, error.kind()))?;
        inputs.push(Box::new(connection));
        listening.push(name);
    }
    Ok(OpenPorts {
        system: NAME.to_owned(),
        timing,
        lead,
        listening,
        sending,
        player: PlayerLink::Thread(sender),
        inputs,
        release: thread.release(),
        output: Box::new(thread),
    })
}

/// What an input's callback needs.
struct Listening {
    clock: Clock,
    stamps: Stamps,
    sink: InputSink,
}

impl Listening {
    fn new(clock: Clock, sink: InputSink) -> Self {
        Self { clock, stamps: Stamps::default(), sink }
    }

    /// Thread: midir's. Decodes, stamps, pushes, and no more.
    fn hear(stamp_us: u64, bytes: &[u8], listening: &mut Self) {
        let time = listening.stamps.convert(stamp_us, listening.clock.now());
        listening.sink.push(time, bytes);
    }
}

#[cfg(unix)]
fn virtual_input(listening: Listening) -> Result<Option<Box<dyn Send>>, PortError> {
    use midir::os::unix::VirtualInput as _;
    let connection = input_client()?
        .create_virtual(INPUT_NAME, Listening::hear, listening)
        .map_err(|error| refused(INPUT_NAME, error.kind()))?;
    Ok(Some(Box::new(connection)))
}

#[cfg(unix)]
fn virtual_output() -> Result<Option<MidiOutputConnection>, PortError> {
    use midir::os::unix::VirtualOutput as _;
    let connection =
        output_client()?.create_virtual(OUTPUT_NAME).map_err(|error| refused(OUTPUT_NAME, error.kind()))?;
    Ok(Some(connection))
}

/// Windows has no virtual ports: a loopback port must be named instead.
#[cfg(not(unix))]
fn virtual_input(_: Listening) -> Result<Option<Box<dyn Send>>, PortError> {
    Ok(None)
}

#[cfg(not(unix))]
fn virtual_output() -> Result<Option<MidiOutputConnection>, PortError> {
    Ok(None)
}

/// The device through which ALSA's sequencer is reached. Asked first, because ALSA's library writes to the terminal
/// when it is missing; our own sentence is enough.
#[cfg(target_os = "linux")]
const SEQUENCER: &str = "/dev/snd/seq";

#[cfg(target_os = "linux")]
fn reachable() -> Result<(), PortError> {
    if std::path::Path::new(SEQUENCER).exists() {
        return Ok(());
    }
    let why = format!("there is no {SEQUENCER}; `sudo modprobe snd-seq` loads it where the kernel has it");
    Err(PortError::Unavailable { system: NAME, why })
}

#[cfg(not(target_os = "linux"))]
fn reachable() -> Result<(), PortError> {
    Ok(())
}

fn input_client() -> Result<MidiInput, PortError> {
    reachable()?;
    let mut input = MidiInput::new(CLIENT_NAME).map_err(|error| unavailable(&error))?;
    // Clock and transport are heard.
    input.ignore(Ignore::Sysex | Ignore::ActiveSense);
    Ok(input)
}

fn output_client() -> Result<MidirOutput, PortError> {
    reachable()?;
    MidirOutput::new(CLIENT_NAME).map_err(|error| unavailable(&error))
}

fn names<Io: MidiIO>(client: &Io) -> (Vec<Io::Port>, Vec<String>) {
    client.ports().into_iter().filter_map(|port| client.port_name(&port).ok().map(|name| (port, name))).unzip()
}

fn unavailable(error: &midir::InitError) -> PortError {
    PortError::Unavailable { system: NAME, why: error.to_string() }
}

fn refused(port: &str, error: impl std::fmt::Display) -> PortError {
    PortError::Refused { system: NAME, port: port.to_owned(), why: error.to_string() }
}

//! JACK, and PipeWire's JACK: notes are queued ahead and placed to the frame inside `process()`.
//!
//! The player runs in JACK's own thread. What it hears and sends goes through rings to the pump, an ordinary thread
//! that hands it on to the conductor and the recorder.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use jack::{
    AsyncClient, Client, ClientOptions, Control, Frames, LoggerType, MidiIn, MidiOut, MidiWriter, NotificationHandler,
    Port, PortFlags, ProcessHandler, ProcessScope, RawMidi,
};
use rtrb::{Consumer, Producer, RingBuffer};

use super::cables::{Bell, Board, CableId, Door, Found};
use super::frames::{JackOffset, Period};
use super::held::Held;
use super::jack_pump::{PUMP_EVERY, Pump};
use super::{
    Attachments, CLIENT_NAME, Destination, Direction, INPUT_NAME, Keeper, OUTPUT_NAME, Offset, OpenPorts, PlayerLink,
    PortError, Release, Routing, Speaker, Wiring,
};
use crate::conductor::LEAD;
use crate::control::Claims;
use crate::echo::Origin;
use crate::midi::{ShortMessage, TimedMessage};
use crate::playback::Tape;
use crate::player::{self, Owed, Player, PlayerCommand};
use crate::status::Status;
use crate::synth::Part;
use crate::sysex::{Cut, Piece, Slicer};
use crate::take::Happening;
use crate::thru::Thru;
use crate::time::{Clock, SessionDuration, SessionTime};

pub(super) const NAME: &str = "JACK";

/// Messages between two visits of the pump: a second of MIDI at its full 31.25 kbaud on three cables.
const MESSAGES: usize = 4096;

/// Pieces of SysEx between two visits of the pump: seven times the most that a port's buffer holds.
const PIECES: usize = 1024;

/// Periods between the last note-offs and closing the port: the server passes them on in the second.
const PERIODS_AFTER_RELEASE: u32 = 3;

/// How long the last note-offs may take to leave: many periods of any server.
const RELEASE_WITHIN: Duration = Duration::from_millis(500);

/// Whether a server runs.
pub(super) fn is_running() -> bool {
    client().is_ok()
}

/// Names of the MIDI ports that can send to us, and of those that we can send to; or why there is no JACK.
pub(super) fn list() -> Result<[Vec<String>; 2], String> {
    let client = client().map_err(|error| match error {
        PortError::Unavailable { why, .. } => why,
        other => other.to_string(),
    })?;
    Ok([others(&client, PortFlags::IS_OUTPUT), others(&client, PortFlags::IS_INPUT)])
}

/// Opens the two ports and attaches to the named ones.
pub(super) fn open(attachments: &Attachments, wiring: Wiring) -> Result<OpenPorts, PortError> {
    let client = client()?;
    let offset = attachments.offset;
    let input = client.register_port(INPUT_NAME, MidiIn::default()).map_err(|error| refused(INPUT_NAME, &error))?;
    let output = client.register_port(OUTPUT_NAME, MidiOut::default()).map_err(|error| refused(OUTPUT_NAME, &error))?;
    let our_input = input.name().unwrap_or_default();
    let our_output = output.name().unwrap_or_default();

    let (commander, commands) = RingBuffer::new(2 * player::CAPACITY);
    let (heard, heard_at_pump) = RingBuffer::new(MESSAGES);
    let (sent, sent_at_pump) = RingBuffer::new(MESSAGES);
    let human_gone = Arc::new(AtomicBool::new(false));
    let turnover = Arc::new(AtomicU64::new(0));
    let door = Door::new();
    let (pieces, pieces_at_pump) = RingBuffer::new(PIECES);
    let slicer = wiring.input.slicer();
    let stopping = Arc::new(AtomicBool::new(false));
    let released = Arc::new(AtomicU32::new(0));
    let pump = Pump::start(
        wiring.input,
        heard_at_pump,
        pieces_at_pump,
        sent_at_pump,
        wiring.record,
        Arc::clone(&wiring.status),
    )?;
    let routing = Arc::clone(&wiring.routing);
    let process = Process {
        clock: wiring.clock,
        jack_clock: JackOffset::default(),
        input,
        output,
        player: Player::default(),
        latency: offset,
        routing: wiring.routing,
        speaker: wiring.speaker,
        thru: Thru::default(),
        tape: Tape::default(),
        controls: wiring.controls,
        commands,
        heard,
        slicer,
        pieces,
        sent,
        status: Arc::clone(&wiring.status),
        stopping: Arc::clone(&stopping),
        released: Arc::clone(&released),
        owed: Owed::default(),
        held: Held::default(),
        human_gone: Arc::clone(&human_gone),
        broken: false,
    };
    let notifications =
        Notifications { status: Arc::clone(&wiring.status), turnover: Arc::clone(&turnover), bell: door.bell() };
    let active = client.activate_async(notifications, process).map_err(|error| refused(CLIENT_NAME, &error))?;
    let system = format!(
        "{NAME} at {} Hz, {} frames a period",
        active.as_client().sample_rate(),
        active.as_client().buffer_size()
    );
    let period = u64::from(active.as_client().buffer_size()) * 1_000_000 / u64::from(active.as_client().sample_rate());
    let active = Arc::new(active);
    let board = JackBoard {
        active: Arc::clone(&active),
        our_input: our_input.clone(),
        our_output: our_output.clone(),
        sources: Vec::new(),
        plugged: BTreeMap::new(),
        human_gone,
        turnover,
    };
    let shown = (wiring.clock, wiring.status, wiring.watchers);
    let keeper = Keeper::start(door, Box::new(board), attachments.wanted(), attachments.required, shown)?;
    Ok(OpenPorts {
        // Commands are read at the beginning of a period, for that period.
        lead: LEAD + SessionDuration::from_micros(2 * period) + offset.lead(),
        system,
        timing: "to the frame, in JACK's own thread".to_owned(),
        listening: Some(our_input),
        sending: Some(our_output),
        player: PlayerLink::Ring(commander),
        keeper,
        inputs: Vec::new(),
        release: release(&stopping, &released),
        silence: Arc::new(move || routing.call_for_silence()),
        output: Box::new(Running { stopping, released, active: Some(active), pump: Some(pump) }),
    })
}

fn client() -> Result<Client, PortError> {
    // Asked first, because setting the logger panics where JACK's library is missing.
    if let Err(error) = jack::jack_sys::library() {
        let why = format!("its library is missing ({error}); install libjack-jackd2-0 or pipewire-jack");
        return Err(PortError::Unavailable { system: NAME, why });
    }
    // JACK's library writes to the terminal when there is no server; our own sentence is enough.
    jack::set_logger(LoggerType::None);
    let (client, _) = Client::new(CLIENT_NAME, ClientOptions::NO_START_SERVER).map_err(|error| {
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

/// What is attached to our two ports.
struct JackBoard {
    active: Arc<AsyncClient<Notifications, Process>>,
    our_input: String,
    our_output: String,
    /// Whoever sends to us, attached by us or by others, when last looked.
    sources: Vec<String>,
    plugged: BTreeMap<CableId, (Direction, String)>,
    human_gone: Arc<AtomicBool>,
    turnover: Arc<AtomicU64>,
}

impl JackBoard {
    /// Who is connected to one of our ports.
    fn connected(&self, own: &str) -> Vec<String> {
        self.active.as_client().port_by_name(own).map(|port| port.get_connections()).unwrap_or_default()
    }

    /// What a source held goes up when the source has gone: it cannot say so any more. All sources come in by one port,
    /// so what others hold goes up with it.
    fn look_at_sources(&mut self) {
        let now = self.connected(&self.our_input);
        if self.sources.iter().any(|before| !now.contains(before)) {
            self.human_gone.store(true, Relaxed);
        }
        self.sources = now;
    }

    /// The two ends of a cable.
    fn ends<'a>(&'a self, direction: Direction, port: &'a str) -> [&'a str; 2] {
        match direction {
            Direction::From => [port, &self.our_input],
            Direction::To => [&self.our_output, port],
        }
    }
}

impl Board for JackBoard {
    fn system(&self) -> String {
        NAME.to_owned()
    }

    fn there(&mut self) -> Option<[Vec<Found>; 2]> {
        self.look_at_sources();
        let client = self.active.as_client();
        let found = |kind| {
            let others = others(client, kind).into_iter();
            others.map(|name| Found { stable: name.clone(), name }).collect()
        };
        Some([found(PortFlags::IS_OUTPUT), found(PortFlags::IS_INPUT)])
    }

    fn turnover(&mut self) -> u64 {
        self.turnover.load(Relaxed)
    }

    fn accepts(&self, _: Direction, wanted: &Destination) -> Result<(), PortError> {
        if wanted.offset == Offset::default() {
            return Ok(());
        }
        let why = "JACK has one output port for all, which --offset-ms moves; leave the offset out here".to_owned();
        Err(PortError::Refused { system: NAME, port: wanted.name.clone(), why })
    }

    fn plug(&mut self, id: CableId, direction: Direction, port: &Found, _: Offset) -> Result<(), PortError> {
        let [source, sink] = self.ends(direction, &port.name);
        match self.active.as_client().connect_ports_by_name(source, sink) {
            // A session manager may have been quicker.
            Ok(()) | Err(jack::Error::PortAlreadyConnected(..)) => {}
            Err(error) => return Err(refused(&port.name, &error)),
        }
        self.plugged.insert(id, (direction, port.name.clone()));
        Ok(())
    }

    fn is_plugged(&mut self, id: CableId) -> bool {
        self.plugged.get(&id).is_some_and(|(direction, port)| {
            let own = if *direction == Direction::From { &self.our_input } else { &self.our_output };
            self.connected(own).contains(port)
        })
    }

    // Stays known: somebody may plug it by hand.
    fn unplug(&mut self, _: CableId) {}

    fn remove(&mut self, id: CableId) {
        let Some((direction, port)) = self.plugged.remove(&id) else { return };
        let [source, sink] = self.ends(direction, &port);
        // It may have gone already.
        let _ = self.active.as_client().disconnect_ports_by_name(source, sink);
        self.look_at_sources();
    }
}

/// Everything that JACK's thread may touch.
struct Process {
    clock: Clock,
    jack_clock: JackOffset,
    input: Port<MidiIn>,
    output: Port<MidiOut>,
    player: Player,
    /// How much later than its musical time a message leaves.
    latency: Offset,
    routing: Arc<Routing>,
    speaker: Speaker,
    thru: Thru,
    /// A take that is played back.
    tape: Tape,
    controls: Arc<Claims>,
    commands: Consumer<PlayerCommand>,
    heard: Producer<TimedMessage>,
    slicer: Slicer,
    pieces: Producer<Piece>,
    sent: Producer<Happening>,
    status: Arc<Status>,
    stopping: Arc<AtomicBool>,
    /// Periods since the last note-offs were written.
    released: Arc<AtomicU32>,
    /// Note-offs that found no place in their period and go into the next.
    owed: Owed,
    /// What the human holds.
    held: Held,
    /// Set when a source of what the human plays has gone: then what they hold is let go.
    human_gone: Arc<AtomicBool>,
    /// Whether a period has panicked: then nothing is played any more but what is owed.
    broken: bool,
}

impl ProcessHandler for Process {
    /// Thread: JACK's. Realtime-safe: yes.
    fn process(&mut self, client: &Client, scope: &ProcessScope) -> Control {
        self.status.life.player.beat();
        // The crate would close the port on a panic, with notes sounding.
        if catch_unwind(AssertUnwindSafe(|| self.period(client, scope))).is_err() {
            self.broken = true;
            self.status.failed.store(true, Relaxed);
        }
        Control::Continue
    }
}

impl Process {
    fn period(&mut self, client: &Client, scope: &ProcessScope) {
        let now = self.clock.now();
        let jack_now = client.time();
        self.jack_clock.measured(now, jack_now, self.clock.now());
        let (begin_us, length) = match scope.cycle_times() {
            Ok(times) => (times.current_usecs, times.next_usecs.checked_sub(times.current_usecs)),
            Err(_) => (jack_now, None),
        };
        let begin = self.jack_clock.session_time(begin_us);
        let period = Period::new(begin, scope.n_frames(), client.sample_rate(), length);

        // The player lives in musical time, which the port's latency moves against the session's.
        let latency = self.latency;
        let music = latency.musical(begin);

        let mut out = Placer {
            writer: self.output.writer(scope),
            period,
            latency,
            frame: 0,
            left: None,
            sent: &mut self.sent,
            routing: &self.routing,
            speaker: &mut self.speaker,
            owed: &mut self.owed,
            status: &self.status,
        };
        out.pay();
        self.status.figures.player_queue.saw(self.commands.slots());
        // Silence that was called for comes after all that was planned before.
        let silence = self.routing.takes_call_for_silence().then_some(PlayerCommand::Panic);
        let commands = std::iter::from_fn(|| self.commands.pop().ok());
        for command in commands.chain(silence) {
            self.player.command(command, music, |time, message| out.send(time, message));
            self.tape.command(command, |message| out.pass_own(music, message));
            match command {
                PlayerCommand::Panic => {
                    self.thru.release(|message| out.pass(music, message));
                    out.speaker.silence_human(begin);
                }
                // From a file; what ports hear is passed on below.
                PlayerCommand::Human(timed) => {
                    out.speaker.play(Part::Human, timed.time, timed.message);
                    if self.thru.passes(timed.message, self.routing.thru()) {
                        out.pass(music, timed.message);
                    }
                }
                _ => {}
            }
        }
        let mut ears = Ears {
            player: &mut self.player,
            thru: &mut self.thru,
            tape: &mut self.tape,
            held: &mut self.held,
            heard: &mut self.heard,
            slicer: &mut self.slicer,
            pieces: &mut self.pieces,
            routing: &self.routing,
            controls: &self.controls,
            status: &self.status,
        };
        if self.human_gone.swap(false, Relaxed) {
            ears.let_go(period.begin, &mut out);
        }
        for event in self.input.iter(scope) {
            let time = period.time_of(event.time);
            let mut rest = event.bytes;
            while let Some(cut) = ears.slicer.cut(time, &mut rest) {
                match cut {
                    Cut::Piece(piece) => ears.keep(piece),
                    Cut::Other(message) => ears.meet(time, message, &mut out),
                }
            }
        }
        if self.stopping.load(Relaxed) || self.broken {
            self.player.release(music, |time, message| out.send(time, message));
            self.thru.release(|message| out.pass(music, message));
            self.tape.stop(|message| out.pass_own(music, message));
            self.released.fetch_add(1, Relaxed);
        } else {
            let until = latency.musical(period.last_due());
            self.player.play(until, |time, message| out.send(time, message));
            self.tape.play(until, |time, message| out.pass_own(time, message));
        }
        self.status.plan_refused.store(self.player.refused() + self.tape.refused(), Relaxed);
        self.status.gated.store(self.player.gated(), Relaxed);
    }
}

/// What has to do with the human's messages in a period.
struct Ears<'a> {
    player: &'a mut Player,
    thru: &'a mut Thru,
    tape: &'a mut Tape,
    held: &'a mut Held,
    heard: &'a mut Producer<TimedMessage>,
    slicer: &'a mut Slicer,
    pieces: &'a mut Producer<Piece>,
    routing: &'a Routing,
    controls: &'a Claims,
    status: &'a Status,
}

impl Ears<'_> {
    /// The port has this, which may be a message of the human, or an echo of ours.
    fn meet(&mut self, time: SessionTime, bytes: &[u8], out: &mut Placer<'_>) {
        let Ok(message) = ShortMessage::from_bytes(bytes) else { return };
        if self.routing.echoes.is_echo(time, message) {
            self.status.echoes.fetch_add(1, Relaxed);
            return;
        }
        self.held.hear(message);
        self.hear(TimedMessage { time, message }, out);
    }

    /// A part of SysEx goes to the recorder.
    fn keep(&mut self, piece: Piece) {
        if self.pieces.push(piece).is_err() {
            self.status.sysex_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The human sends this.
    fn hear(&mut self, timed: TimedMessage, out: &mut Placer<'_>) {
        let TimedMessage { time, message } = timed;
        self.routing.hands.hear(message);
        if !self.controls.claims(message) {
            let now = out.latency.musical(time);
            out.speaker.play(Part::Human, time, message);
            self.player.play(now, |time, message| out.send(time, message));
            self.tape.play(now, |time, message| out.pass_own(time, message));
            out.left = None;
            self.player.command(PlayerCommand::Human(timed), now, |time, message| out.send(time, message));
            self.tape.command(PlayerCommand::Human(timed), |message| out.pass_own(now, message));
            if message.takes_the_turn() {
                self.status.figures.human_struck();
                out.left.into_iter().for_each(|left| self.status.figures.barge_in.add(left.since(time)));
            }
            if self.thru.passes(message, self.routing.thru()) {
                out.pass(now, message);
            }
        }
        if self.heard.push(timed).is_err() {
            self.status.input_dropped.fetch_add(1, Relaxed);
            self.routing.hands.missed_in_a_ring();
        }
    }

    /// A source has gone: what the human held goes up, and a SysEx message that will not go on ends.
    fn let_go(&mut self, now: SessionTime, out: &mut Placer<'_>) {
        self.slicer.break_off().into_iter().for_each(|end| self.keep(end));
        std::mem::take(self.held).release(|message| self.hear(TimedMessage { time: now, message }, out));
    }
}

/// Writes messages into the period at their frames, which JACK wants in order.
struct Placer<'a> {
    writer: MidiWriter<'a>,
    period: Period,
    latency: Offset,
    frame: Frames,
    /// The time of the frame at which the last message left.
    left: Option<SessionTime>,
    sent: &'a mut Producer<Happening>,
    routing: &'a Routing,
    speaker: &'a mut Speaker,
    owed: &'a mut Owed,
    status: &'a Status,
}

impl Placer<'_> {
    /// Writes what is owed.
    fn pay(&mut self) {
        for note_off in self.owed.take() {
            self.write(note_off);
        }
    }

    fn write(&mut self, message: ShortMessage) {
        if self.writer.write(&RawMidi { time: self.frame, bytes: message.as_bytes() }).is_err() {
            self.status.send_failed.fetch_add(1, Relaxed);
            self.owed.add(message);
        }
    }

    /// Antiphon plays this.
    fn send(&mut self, time: SessionTime, message: ShortMessage) {
        let left = self.place(time, message, Origin::Own);
        self.left = Some(left);
        if message.is_note_on() {
            self.status.figures.note_left(self.latency.leaves_at(time), left);
        }
        self.speaker.play(Part::Ai, left, message);
        self.status.sent(message);
        // What was late is recorded where it sounded.
        let time = time.max(self.latency.musical(self.period.begin));
        if self.sent.push(Happening::Ai(TimedMessage { time, message })).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }

    /// A take that is played back has this; it is not recorded again.
    fn pass_own(&mut self, time: SessionTime, message: ShortMessage) {
        let left = self.place(time, message, Origin::Own);
        self.speaker.play(Part::Ai, left, message);
    }

    /// The human played this; it is recorded as theirs.
    fn pass(&mut self, time: SessionTime, message: ShortMessage) {
        self.place(time, message, Origin::Thru);
    }

    /// Writes at the frame nearest to the musical time `time`, and says when that is.
    fn place(&mut self, time: SessionTime, message: ShortMessage, origin: Origin) -> SessionTime {
        self.frame = self.period.nearest(self.latency.leaves_at(time)).max(self.frame);
        let left = self.period.time_of(self.frame);
        self.routing.echoes.sent(left, message, origin);
        self.write(message);
        left
    }
}

/// Hears that the server has gone, and that ports come and go.
struct Notifications {
    status: Arc<Status>,
    turnover: Arc<AtomicU64>,
    bell: Bell,
}

impl NotificationHandler for Notifications {
    #[expect(unsafe_code, reason = "the trait demands it: JACK may call this from a signal handler")]
    unsafe fn shutdown(&mut self, _status: jack::ClientStatus, _reason: &str) {
        self.status.failed.store(true, Relaxed);
    }

    fn port_registration(&mut self, _: &Client, _: jack::PortId, _registered: bool) {
        self.turnover.fetch_add(1, Relaxed);
        self.bell.ring();
    }

    fn ports_connected(&mut self, _: &Client, _: jack::PortId, _: jack::PortId, _connected: bool) {
        self.bell.ring();
    }
}

/// Has JACK's thread release what sounds, and waits until that has left.
fn release(stopping: &Arc<AtomicBool>, released: &Arc<AtomicU32>) -> Release {
    let (stopping, released) = (Arc::clone(stopping), Arc::clone(released));
    Arc::new(move |within| {
        let until = Instant::now() + within;
        stopping.store(true, Relaxed);
        while released.load(Relaxed) <= PERIODS_AFTER_RELEASE {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(PUMP_EVERY);
        }
        true
    })
}

/// The active client. Dropping it releases what sounds, waits until that has left, and closes the ports.
struct Running {
    stopping: Arc<AtomicBool>,
    released: Arc<AtomicU32>,
    active: Option<Arc<AsyncClient<Notifications, Process>>>,
    pump: Option<Pump>,
}

impl Drop for Running {
    fn drop(&mut self) {
        release(&self.stopping, &self.released)(RELEASE_WITHIN);
        drop(self.active.take());
        drop(self.pump.take());
    }
}

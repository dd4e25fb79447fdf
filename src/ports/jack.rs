//! JACK, and PipeWire's JACK: notes are queued ahead and placed to the frame inside `process()`.
//!
//! The player runs in JACK's own thread. What it hears and sends goes through rings to the pump, an ordinary thread
//! that hands it on to the conductor and the recorder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jack::{
    AsyncClient, Client, ClientOptions, Control, Frames, LoggerType, MidiIn, MidiOut, MidiWriter, NotificationHandler,
    Port, PortFlags, ProcessHandler, ProcessScope, RawMidi,
};
use rtrb::{Consumer, Producer, RingBuffer};

use super::{
    Attachments, CLIENT_NAME, INPUT_NAME, InputSink, OUTPUT_NAME, OpenPorts, PlayerLink, PortError, Wiring, find_port,
};
use crate::conductor::LEAD;
use crate::midi::{MidiEvent, ShortMessage, TimedMessage};
use crate::player::{self, Player, PlayerCommand};
use crate::status::Status;
use crate::take::Happening;
use crate::time::{Clock, SessionDuration, SessionTime};

pub(super) const NAME: &str = "JACK";

/// Messages between two visits of the pump: a second of MIDI at its full 31.25 kbaud on three cables.
const MESSAGES: usize = 4096;

/// How often the pump looks into the rings. A human note-on silences an answer inside `process()`, so this only
/// delays what is learnt from it.
const PUMP_EVERY: Duration = Duration::from_millis(1);

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
    let from = find(&client, "input", &attachments.from, PortFlags::IS_OUTPUT)?;
    let to = find(&client, "output", &attachments.to, PortFlags::IS_INPUT)?;
    let refused = |port: &str, error: jack::Error| PortError::Refused {
        system: NAME,
        port: port.to_owned(),
        why: error.to_string(),
    };
    let input = client.register_port(INPUT_NAME, MidiIn::default()).map_err(|error| refused(INPUT_NAME, error))?;
    let output = client.register_port(OUTPUT_NAME, MidiOut::default()).map_err(|error| refused(OUTPUT_NAME, error))?;
    let our_input = input.name().unwrap_or_default();
    let our_output = output.name().unwrap_or_default();

    let (commander, commands) = RingBuffer::new(2 * player::CAPACITY);
    let (heard, heard_at_pump) = RingBuffer::new(MESSAGES);
    let (sent, sent_at_pump) = RingBuffer::new(MESSAGES);
    let stopping = Arc::new(AtomicBool::new(false));
    let released = Arc::new(AtomicU32::new(0));
    let pump = Pump::start(wiring.input, heard_at_pump, sent_at_pump, wiring.record, Arc::clone(&wiring.status))?;
    let process = Process {
        clock: SessionClock { clock: wiring.clock, offset: None },
        input,
        output,
        player: wiring.player,
        commands,
        heard,
        sent,
        status: Arc::clone(&wiring.status),
        stopping: Arc::clone(&stopping),
        released: Arc::clone(&released),
        owed: 0,
        broken: false,
    };
    let active = client
        .activate_async(Notifications { status: wiring.status }, process)
        .map_err(|error| refused(CLIENT_NAME, error))?;
    let links = from.iter().map(|name| (name, &our_input)).chain(to.iter().map(|name| (&our_output, name)));
    for (source, sink) in links {
        match active.as_client().connect_ports_by_name(source, sink) {
            // A session manager may have been quicker.
            Ok(()) | Err(jack::Error::PortAlreadyConnected(..)) => {}
            Err(error) => return Err(refused(if *source == our_output { sink } else { source }, error)),
        }
    }
    let system = format!(
        "{NAME} at {} Hz, {} frames a period",
        active.as_client().sample_rate(),
        active.as_client().buffer_size()
    );
    let period = u64::from(active.as_client().buffer_size()) * 1_000_000 / u64::from(active.as_client().sample_rate());
    Ok(OpenPorts {
        // Commands are read at the beginning of a period, for that period.
        lead: LEAD + SessionDuration::from_micros(2 * period),
        system,
        timing: "to the frame, in JACK's own thread".to_owned(),
        listening: std::iter::once(our_input).chain(from).collect(),
        sending: std::iter::once(our_output).chain(to).collect(),
        player: PlayerLink::Ring(commander),
        inputs: Vec::new(),
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

fn find(
    client: &Client,
    direction: &'static str,
    wanted: &[String],
    kind: PortFlags,
) -> Result<Vec<String>, PortError> {
    let there = others(client, kind);
    wanted.iter().map(|name| find_port(direction, name, &there).map(|found| there[found].clone())).collect()
}

/// Session time from JACK's clock, which is another one and drifts against ours.
struct SessionClock {
    clock: Clock,
    /// Session time minus JACK time, in microseconds.
    offset: Option<i64>,
}

impl SessionClock {
    /// Session time of JACK's `jack_us`. Measures the offset anew; single measurements are off when the thread was
    /// held up between the two readings, so it follows by a sixteenth.
    fn convert(&mut self, client: &Client, jack_us: u64) -> SessionTime {
        let to_signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let measured = to_signed(self.clock.now().as_micros()) - to_signed(client.time());
        let offset = self.offset.map_or(measured, |kept| kept + (measured - kept).clamp(-1600, 1600) / 16);
        self.offset = Some(offset);
        SessionTime::from_micros(u64::try_from(to_signed(jack_us) + offset).unwrap_or(0))
    }
}

/// Everything that JACK's thread may touch.
struct Process {
    clock: SessionClock,
    input: Port<MidiIn>,
    output: Port<MidiOut>,
    player: Player,
    commands: Consumer<PlayerCommand>,
    heard: Producer<TimedMessage>,
    sent: Producer<Happening>,
    status: Arc<Status>,
    stopping: Arc<AtomicBool>,
    /// Periods since the last note-offs were written.
    released: Arc<AtomicU32>,
    /// Note-offs that found no place in their period and go into the next: bit `k` for key `k`.
    owed: u128,
    /// Whether a period has panicked: then nothing is played any more but what is owed.
    broken: bool,
}

impl ProcessHandler for Process {
    /// Thread: JACK's. Realtime-safe: yes.
    fn process(&mut self, client: &Client, scope: &ProcessScope) -> Control {
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
        let frames = scope.n_frames();
        let rate = client.sample_rate();
        let begin_us = scope.cycle_times().map_or_else(|_| client.time(), |times| times.current_usecs);
        let begin = self.clock.convert(client, begin_us);
        let time_of =
            |frame: Frames| begin + SessionDuration::from_micros(u64::from(frame) * 1_000_000 / u64::from(rate));

        let mut out = Placer {
            writer: self.output.writer(scope),
            begin,
            rate,
            last_frame: frames.saturating_sub(1),
            frame: 0,
            sent: &mut self.sent,
            owed: &mut self.owed,
            status: &self.status,
        };
        out.pay(self.player.channel());
        while let Ok(command) = self.commands.pop() {
            self.player.command(command, begin, |time, message| out.send(time, message));
        }
        for event in self.input.iter(scope) {
            let Ok(message) = ShortMessage::from_bytes(event.bytes) else { continue };
            let time = time_of(event.time);
            if message.takes_the_turn() {
                self.player.play(time, |time, message| out.send(time, message));
                self.player.command(PlayerCommand::Interrupt, time, |time, message| out.send(time, message));
            }
            if self.heard.push(TimedMessage { time, message }).is_err() {
                self.status.input_dropped.fetch_add(1, Relaxed);
            }
        }
        if self.stopping.load(Relaxed) || self.broken {
            self.player.command(PlayerCommand::Interrupt, begin, |time, message| out.send(time, message));
            self.released.fetch_add(1, Relaxed);
        } else {
            // The first frame of the next period is that period's.
            let end = time_of(frames) - SessionDuration::from_micros(1);
            self.player.play(end, |time, message| out.send(time, message));
        }
        self.status.plan_refused.store(self.player.refused(), Relaxed);
    }
}

/// Writes messages into the period at their frames, which JACK wants in order.
struct Placer<'a> {
    writer: MidiWriter<'a>,
    begin: SessionTime,
    rate: Frames,
    last_frame: Frames,
    frame: Frames,
    sent: &'a mut Producer<Happening>,
    owed: &'a mut u128,
    status: &'a Status,
}

impl Placer<'_> {
    /// Writes what is owed.
    fn pay(&mut self, channel: u8) {
        let owed = std::mem::take(self.owed);
        for key in (0..128u8).filter(|key| owed & (1 << key) != 0) {
            self.write(ShortMessage::note_off(channel, key));
        }
    }

    fn write(&mut self, message: ShortMessage) {
        if self.writer.write(&RawMidi { time: self.frame, bytes: message.as_bytes() }).is_err() {
            self.status.send_failed.fetch_add(1, Relaxed);
            if let MidiEvent::NoteOff { key, .. } = message.event() {
                *self.owed |= 1 << key;
            }
        }
    }

    fn send(&mut self, time: SessionTime, message: ShortMessage) {
        let frame = time.since(self.begin).as_micros() * u64::from(self.rate) / 1_000_000;
        self.frame = Frames::try_from(frame).unwrap_or(Frames::MAX).clamp(self.frame, self.last_frame);
        self.write(message);
        self.status.sent(message);
        // What was late is recorded where it sounded.
        let time = time.max(self.begin);
        if self.sent.push(Happening::Ai(TimedMessage { time, message })).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Hears that the server has gone.
struct Notifications {
    status: Arc<Status>,
}

impl NotificationHandler for Notifications {
    #[expect(unsafe_code, reason = "the trait demands it: JACK may call this from a signal handler")]
    unsafe fn shutdown(&mut self, _status: jack::ClientStatus, _reason: &str) {
        self.status.failed.store(true, Relaxed);
    }
}

/// The active client. Dropping it releases what sounds, waits until that has left, and closes the ports.
struct Running {
    stopping: Arc<AtomicBool>,
    released: Arc<AtomicU32>,
    active: Option<AsyncClient<Notifications, Process>>,
    pump: Option<Pump>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        let looks = RELEASE_WITHIN.as_millis() / PUMP_EVERY.as_millis();
        for _ in 0..looks {
            if self.released.load(Relaxed) > PERIODS_AFTER_RELEASE {
                break;
            }
            thread::sleep(PUMP_EVERY);
        }
        drop(self.active.take());
        drop(self.pump.take());
    }
}

/// Hands on what JACK's thread heard and sent.
struct Pump {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    fn start(
        input: InputSink,
        mut heard: Consumer<TimedMessage>,
        mut sent: Consumer<Happening>,
        record: crossbeam_channel::Sender<Happening>,
        status: Arc<Status>,
    ) -> Result<Self, PortError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pump = move || {
            loop {
                let stopping = stopped.load(Relaxed);
                while let Ok(TimedMessage { time, message }) = heard.pop() {
                    input.push(time, message.as_bytes());
                }
                while let Ok(happening) = sent.pop() {
                    if record.try_send(happening).is_err() {
                        status.record_dropped.fetch_add(1, Relaxed);
                    }
                }
                if stopping {
                    return;
                }
                thread::sleep(PUMP_EVERY);
            }
        };
        let thread = thread::Builder::new()
            .name("jack pump".into())
            .spawn(pump)
            .map_err(|error| PortError::Unavailable { system: NAME, why: error.to_string() })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

//! Input from the ALSA sequencer, event by event.
//!
//! midir keeps back all that comes until a SysEx message has ended, also what others play meanwhile. Here a part of such a
//! message is an event like any other and goes on at once. Whoever sends to the port is told from the others, so that the
//! parts of two messages do not mix, and what was held by one who goes is let go of.

use std::ffi::CString;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use alsa::poll::{Descriptors as _, Flags, poll, pollfd};
use alsa::seq::{Addr, Connect, Event, EventType, Input, MidiEvent, PortCap, PortInfo, PortSubscribe, PortType};
use alsa::{Direction, Seq};

use super::listening::Listening;
use super::realtime::raise_input;
use super::system::{reachable, refused};
use super::{InputSink, PortError, PortName};
use crate::time::{Clock, SessionTime};

/// Events that the sequencer keeps for us, the most that it allows: 56 kB of SysEx, or a second of the densest notes.
const POOL: u32 = 2000;

/// Bytes that are read at once: more than the pool holds, so that a part of SysEx that fills it finds place.
const BUFFER: u32 = 1 << 17;

/// Senders that are told apart; more share the last place.
const SENDERS: usize = 16;

/// The longest sequence of bytes that an event stands for: a parameter number with its value, in four messages.
const LONGEST: usize = 12;

/// Where the sequencer says again and again that there is something, and there is nothing.
const CALM: Duration = Duration::from_millis(1);

/// A port that listens, and its thread.
pub(super) struct Source {
    /// Closed to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<Senders>>,
}

impl Source {
    /// Our own port, to which others connect.
    pub fn open_virtual(name: &PortName, clock: Clock, sink: InputSink) -> Result<Option<Self>, PortError> {
        Self::open(name, None, clock, sink).map(Some)
    }

    /// Attaches to the port with this whole name.
    pub fn attach(name: &PortName, port: &str, clock: Clock, sink: InputSink) -> Result<Self, PortError> {
        let sender = address(port).ok_or_else(|| refused(port, "it has no number"))?;
        Self::open(name, Some((sender, port)), clock, sink)
    }

    fn open(name: &PortName, sender: Option<(Addr, &str)>, clock: Clock, sink: InputSink) -> Result<Self, PortError> {
        reachable()?;
        let own = name.input();
        let shown = sender.map_or(&*own, |(_, port)| port);
        let refused = |error: &dyn std::fmt::Display| refused(shown, error);
        let seq = listen(name, sender.map(|(sender, _)| sender)).map_err(|error| refused(&error))?;
        let (stop, stopped) = UnixStream::pair().map_err(|error| refused(&error))?;
        let senders = Senders::new(clock, sink);
        let hear = move || {
            raise_input();
            hear(&seq, &stopped, senders)
        };
        let thread = thread::Builder::new().name("alsa in".into()).spawn(hear).map_err(|error| refused(&error))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Closes it; what was held there goes up.
    pub fn close(mut self) {
        if let Some(mut senders) = self.end() {
            senders.release_all();
        }
    }

    /// A panic in the thread is reported by the panic hook.
    fn end(&mut self) -> Option<Senders> {
        self.stop = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.end();
    }
}

/// A client with one port that stamps what comes in; subscribed to `sender`, if there is one.
fn listen(name: &PortName, sender: Option<Addr>) -> alsa::Result<Seq> {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let seq = Seq::open(None, None, true)?;
    seq.set_client_name(&text(name.client()))?;
    seq.set_client_pool_input(POOL)?;
    let queue = seq.alloc_named_queue(&text(name.client()))?;
    let mut port = PortInfo::empty()?;
    port.set_capability(PortCap::WRITE | PortCap::SUBS_WRITE);
    port.set_type(PortType::MIDI_GENERIC | PortType::APPLICATION);
    port.set_midi_channels(16);
    port.set_timestamping(true);
    port.set_timestamp_real(true);
    port.set_timestamp_queue(queue);
    port.set_name(&text(&name.input()));
    seq.create_port(&port)?;
    seq.control_queue(queue, EventType::Start, 0, None)?;
    seq.drain_output()?;
    if let Some(sender) = sender {
        let subscription = PortSubscribe::empty()?;
        subscription.set_sender(sender);
        subscription.set_dest(Addr { client: seq.client_id()?, port: port.get_port() });
        seq.subscribe_port(&subscription)?;
    }
    Ok(seq)
}

/// The numbers at the end of a port's whole name: `Keystation:MIDI 1 20:0`.
fn address(port: &str) -> Option<Addr> {
    let (client, port) = port.rsplit(' ').next()?.split_once(':')?;
    Some(Addr { client: client.parse().ok()?, port: port.parse().ok()? })
}

/// Hears until the other end of `stopped` is closed, or the sequencer has gone.
fn hear(seq: &Seq, stopped: &UnixStream, mut senders: Senders) -> Senders {
    let sequencer = (seq, Some(Direction::Capture));
    let mut input = seq.input();
    let ready = input.set_input_buffer_size(BUFFER).and_then(|()| Ok((sequencer.get()?, MidiEvent::new(0)?)));
    let Ok((mut fds, coder)) = ready else { return senders };
    // Every message with its status.
    coder.enable_running_status(false);
    fds.push(pollfd { fd: stopped.as_raw_fd(), events: Flags::IN.bits(), revents: 0 });
    let last = fds.len() - 1;
    loop {
        // A signal, as a rule, when it fails.
        let is_ready = poll(&mut fds, -1).is_ok();
        let [ours, stop] = [&fds[..last], &fds[last..]].map(|fds| fds.iter().fold(0, |all, fd| all | fd.revents));
        let gone = Flags::ERR | Flags::HUP | Flags::NVAL;
        if is_ready && (stop != 0 || Flags::from_bits_truncate(ours).intersects(gone)) {
            return senders;
        }
        if !hear_all(&mut input, &coder, &mut senders) {
            thread::sleep(CALM);
        }
    }
}

/// Hears all that is there; whether there was anything.
fn hear_all(input: &mut Input<'_>, coder: &MidiEvent, senders: &mut Senders) -> bool {
    let mut heard = false;
    loop {
        match input.event_input_pending(true) {
            Ok(1..) => {}
            Ok(0) => return heard,
            Err(error) => {
                if error.errno() == libc::ENOSPC {
                    senders.overrun();
                }
                return heard;
            }
        }
        heard = true;
        match input.event_input() {
            Ok(mut event) => senders.hear(&mut event, coder),
            Err(error) if error.errno() == libc::ENOSPC => senders.overrun(),
            // Something that this version does not know.
            Err(_) => {}
        }
    }
}

/// Everybody who sends to the port.
struct Senders {
    clock: Clock,
    sink: InputSink,
    places: Vec<(Option<Addr>, Listening)>,
}

impl Senders {
    fn new(clock: Clock, sink: InputSink) -> Self {
        let places = (0..SENDERS).map(|_| (None, Listening::new(clock, sink.clone()))).collect();
        Self { clock, sink, places }
    }

    /// Thread: the port's own. Takes no memory.
    fn hear(&mut self, event: &mut Event<'_>, coder: &MidiEvent) {
        let stamp = event.get_time().map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let stamp = stamp.unwrap_or_else(|| self.clock.now().since(SessionTime::ZERO).as_micros());
        match event.get_type() {
            EventType::PortSubscribed => self.sink.routing().echoes.plugged(),
            EventType::PortUnsubscribed => {
                if let Some(Connect { sender, .. }) = event.get_data() {
                    self.release(sender);
                }
            }
            EventType::Sysex => {
                let sender = self.of(event.get_source());
                if let Some(part) = event.get_ext() {
                    sender.hear(stamp, part);
                }
            }
            _ => {
                let sender = self.of(event.get_source());
                let mut bytes = [0; LONGEST];
                let length = coder.decode(&mut bytes, event).unwrap_or(0);
                // Most events are one message.
                for message in bytes[..length.min(LONGEST)].chunk_by(|_, next| *next < 0x80) {
                    sender.hear(stamp, message);
                }
            }
        }
    }

    fn of(&mut self, sender: Addr) -> &mut Listening {
        let is_its = |(address, _): &(Option<Addr>, Listening)| *address == Some(sender);
        let known = self.places.iter().position(is_its);
        let place = known.or_else(|| self.places.iter().position(|(address, _)| address.is_none()));
        let (address, listening) = &mut self.places[place.unwrap_or(SENDERS - 1)];
        address.get_or_insert(sender);
        listening
    }

    /// One has gone: what it held goes up.
    fn release(&mut self, gone: Addr) {
        for (address, listening) in self.places.iter_mut().filter(|(address, _)| *address == Some(gone)) {
            listening.release();
            *address = None;
        }
    }

    /// The sequencer had no room for what came: whoever was to let go of something may not have been heard.
    fn overrun(&mut self) {
        self.sink.overrun();
        self.release_all();
    }

    fn release_all(&mut self) {
        self.places.iter_mut().for_each(|(_, listening)| listening.release());
    }
}

//! Where what the human plays comes in, whatever the MIDI system.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crossbeam_channel::Sender;

use super::{Order, Routing};
use crate::control::{Assignment, Claims, Control};
use crate::midi::{ShortMessage, TimedMessage};
use crate::player::PlayerCommand;
use crate::status::Status;
use crate::sysex::{Cut, Piece, Slicer};
use crate::time::{SessionDuration, SessionTime};

/// What reaches the conductor.
#[derive(Clone, Debug, PartialEq)]
pub enum Cue {
    /// The human sent this, and the player knows.
    Human(TimedMessage),
    /// A file that plays the human sent this; the player has yet to be told.
    File(TimedMessage),
    /// A message that is control and no music.
    Knob(TimedMessage),
    /// Somebody asked for this.
    Control {
        /// When.
        at: SessionTime,
        /// What.
        control: Control,
    },
    /// MIDI messages that mean something from now on, in layers; all others are music.
    Controllers(Vec<Vec<Assignment>>),
    /// One more layer of them, behind all others.
    MoreControllers(Vec<Assignment>),
    /// From now on notes are planned at least so far ahead: the way to the port has become longer or shorter.
    Lead(SessionDuration),
    /// A model has been loaded and waits to take over.
    ModelLoaded,
    /// A take has been read and waits to be played back.
    TakeRead,
    /// The session ends.
    Stop,
}

/// Takes in what the human plays. One for each port, all leading to the conductor.
///
/// Thread: the driver's. Realtime-safe: not quite, sending may wake the conductor by a system call; JACK's callback
/// therefore uses a ring instead.
#[derive(Clone)]
pub struct InputSink {
    conductor: Sender<Cue>,
    way: Way,
    controls: Arc<Claims>,
    status: Arc<Status>,
    /// Where SysEx goes: past everybody to the recorder.
    pieces: Option<Sender<Piece>>,
    /// Ports that have got a [`Slicer`] so far.
    ports: Arc<AtomicU32>,
    routing: Arc<Routing>,
}

/// What has been done with a message before it comes to the sink, and what there is left to do.
#[derive(Clone)]
enum Way {
    /// Nobody has seen it: it may be an echo, and the player is told at once.
    Port(Sender<Order>),
    /// The player has had it.
    Met,
    /// It comes from a file, which is no echo; the conductor's thread tells the player.
    File,
}

impl InputSink {
    /// A sink that leads to the conductor's queue. Messages that `controls` claims are no music.
    pub fn new(conductor: Sender<Cue>, controls: Arc<Claims>, status: Arc<Status>) -> Self {
        Self {
            conductor,
            way: Way::Met,
            controls,
            status,
            pieces: None,
            ports: Arc::default(),
            routing: Arc::default(),
        }
    }

    /// Shares with the ports what is known of echoes and of what the human holds.
    pub fn routed(mut self, routing: Arc<Routing>) -> Self {
        self.routing = routing;
        self
    }

    /// What is shared with the ports.
    pub(super) fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Also sends what is said in SysEx to the recorder.
    pub fn keeping_sysex(mut self, pieces: Sender<Piece>) -> Self {
        self.pieces = Some(pieces);
        self
    }

    /// What a port that leads here needs to take in SysEx.
    pub fn slicer(&self) -> Slicer {
        Slicer::new(self.ports.fetch_add(1, Relaxed))
    }

    /// Takes a piece of a SysEx message.
    pub fn push_piece(&self, piece: Piece) {
        // Policy when full: the newest piece is dropped and counted, and its message is not recorded.
        if self.pieces.as_ref().is_some_and(|pieces| pieces.try_send(piece).is_err_and(|error| error.is_full())) {
            self.status.sysex_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The driver had no room for what came. What it was is not known: the conductor looks what the human still holds.
    #[cfg(target_os = "linux")]
    pub(super) fn overrun(&self) {
        self.status.input_overruns.fetch_add(1, Relaxed);
        self.routing.hands.missed_by_conductor();
    }

    /// Also keeps echoes out and tells the player, so that an answer yields without waiting for the conductor.
    pub(super) fn telling(mut self, player: Sender<Order>, routing: Arc<Routing>) -> Self {
        self.way = Way::Port(player);
        self.routed(routing)
    }

    /// Has the conductor plan at least so far ahead from now on. Waits while its queue is full.
    #[cfg(feature = "jack")]
    pub(super) fn plan_ahead(&self, lead: SessionDuration) {
        // Nothing happens when the session is over.
        let _ = self.conductor.send(Cue::Lead(lead));
    }

    /// For a file that plays the human.
    pub fn from_a_file(mut self) -> Self {
        self.way = Way::File;
        self
    }

    /// Takes what a driver gives: a message, or a fragment of SysEx. What is no SysEx goes by `met` first.
    pub fn hear(&self, slicer: &mut Slicer, time: SessionTime, mut bytes: &[u8], mut met: impl FnMut(&[u8])) {
        while let Some(cut) = slicer.cut(time, &mut bytes) {
            match cut {
                Cut::Piece(piece) => self.push_piece(piece),
                Cut::Other(message) => {
                    met(message);
                    self.push(time, message);
                }
            }
        }
    }

    /// The player ends what sounds, whatever the conductor is at, who hears of it as well.
    fn call_for_silence(&self) {
        self.routing.call_for_silence();
        if let Way::Port(player) = &self.way {
            // A thread whose queue is full is awake.
            let _ = player.try_send(Order::Look);
        }
    }

    /// Takes the bytes of one message; whatever is no channel or clock message is passed over, and counted.
    pub fn push(&self, time: SessionTime, bytes: &[u8]) {
        let Ok(message) = ShortMessage::from_bytes(bytes) else {
            self.status.passed_over.fetch_add(1, Relaxed);
            return;
        };
        let timed = TimedMessage { time, message };
        let hands = &self.routing.hands;
        if matches!(self.way, Way::Port(_)) && self.routing.echoes.is_echo(time, message, hands) {
            self.status.echoes.fetch_add(1, Relaxed);
            return;
        }
        // What has been met before has been counted there.
        if !matches!(self.way, Way::Met) {
            self.status.received.fetch_add(1, Relaxed);
        }
        // A key that went down as music goes up as music, though it has become a control meanwhile.
        let ends_music = !matches!(self.way, Way::Met) && hands.holds(message) && !message.is_note_on();
        let cue = if self.controls.claims(message) && !ends_music {
            if !matches!(self.way, Way::Met) && self.controls.calls_for_panic(message) {
                self.call_for_silence();
            }
            Cue::Knob(timed)
        } else {
            if !matches!(self.way, Way::Met) {
                hands.hear(message);
            }
            if let Way::Port(player) = &self.way
                && message.channel().is_some()
                && player.try_send(Order::Command(PlayerCommand::Human(timed))).is_err_and(|error| error.is_full())
            {
                // Policy when full: counted. The conductor, which hears of it next, cancels the answer too, and when the
                // queue is empty the player looks what the human still holds.
                self.status.player_missed.fetch_add(1, Relaxed);
                hands.missed_by_player();
            }
            self.status.heard(message);
            if matches!(self.way, Way::File) { Cue::File(timed) } else { Cue::Human(timed) }
        };
        // Policy when full: the newest message is dropped and counted; the driver must never be held up. When the queue is
        // empty the conductor looks what the human still holds.
        if let Err(error) = self.conductor.try_send(cue)
            && error.is_full()
        {
            self.status.input_dropped.fetch_add(1, Relaxed);
            hands.missed_by_conductor();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_reaches_nobody_and_keys_that_do_not_reach_the_player_are_counted() {
        let (to_conductor, heard) = crossbeam_channel::bounded(8);
        let (to_player, told) = crossbeam_channel::bounded(1);
        let (status, routing) = (Arc::new(Status::default()), Arc::new(Routing::default()));
        let sink =
            InputSink::new(to_conductor, Arc::default(), Arc::clone(&status)).telling(to_player, Arc::clone(&routing));
        let note = |key| ShortMessage::note_on(0, key, 80);
        let at = SessionTime::from_micros(5_000);
        routing.echoes.sent(SessionTime::ZERO, note(60), crate::echo::Origin::Own);
        for key in [60, 60, 62, 64] {
            sink.push(at, note(key).as_bytes());
        }
        let human = |key| Cue::Human(TimedMessage { time: at, message: note(key) });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [human(60), human(62), human(64)]);
        assert_eq!(told.len(), 1);
        assert_eq!([&status.echoes, &status.player_missed].map(|count| count.load(Relaxed)), [1, 2]);
        assert!(status.losses().contains("2 keys of yours"), "{}", status.losses());
    }

    #[test]
    fn a_mapped_panic_reaches_the_player_by_itself_and_its_release_does_not() {
        let (to_conductor, heard) = crossbeam_channel::bounded(8);
        let (to_player, told) = crossbeam_channel::bounded(8);
        let routing = Arc::new(Routing::default());
        let mapped = ["cc119=panic", "cc120=panic", "key30=panic", "bend=panic", "cc118=hand-over"];
        let mapped = mapped.map(|text| crate::control::Assignment::parse(text).expect("well formed"));
        let controls = crate::control::ControlMap::new(vec![mapped.to_vec()]);
        let sink =
            InputSink::new(to_conductor, controls.claims(), Arc::default()).telling(to_player, Arc::clone(&routing));
        let calls = [
            (vec![0xb3, 119, 127], true),
            (vec![0xb3, 119, 0], false),
            (vec![0xb0, 120, 64], true),
            (vec![0x90, 30, 1], true),
            (vec![0x80, 30, 1], false),
            (vec![0xe0, 0, 127], false),
            (vec![0xb0, 118, 127], false),
        ];
        for (bytes, calls) in calls {
            sink.push(SessionTime::ZERO, &bytes);
            assert_eq!(routing.takes_call_for_silence(), calls, "{bytes:?}");
            assert_eq!(told.try_iter().count(), usize::from(calls), "{bytes:?}");
            assert!(matches!(heard.try_recv(), Ok(Cue::Knob(_))), "{bytes:?}");
        }
    }
}

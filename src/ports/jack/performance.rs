//! The player inside JACK's `process()`: what it does in a period, and what it does while there is no server.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jack::{Client, CycleTimes, Frames, MidiIn, MidiOut, Port, ProcessScope, Time};
use rtrb::{Consumer, Producer};

use super::Signals;
use super::ears::Ears;
use super::frames::{JackOffset, Period};
use super::placer::{Placer, note_down};
use super::stranded::Stranded;
use crate::control::Claims;
use crate::fault;
use crate::midi::TimedMessage;
use crate::playback::Tape;
use crate::player::{Owed, Player, PlayerCommand};
use crate::ports::held::Held;
use crate::ports::{Offset, Routing, Speaker};
use crate::status::Status;
use crate::synth::Part;
use crate::sysex::{Cut, Piece, Slicer};
use crate::take::Happening;
use crate::thru::Thru;
use crate::time::{Clock, SessionTime};

/// A period that would have begun longer ago than this, in microseconds, did not.
const BELIEVED_WITHIN_US: u64 = 1_000_000;

/// The player and its ledgers. They outlive the server: while there is none, the cables' keeper has them.
pub(super) struct Performance {
    clock: Clock,
    jack_clock: JackOffset,
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
    signals: Arc<Signals>,
    /// Note-offs that found no place in their period and go into the next.
    owed: Owed,
    /// What the human holds.
    held: Held,
    /// What sounded when a server went.
    stranded: Stranded,
    /// When the last period was over.
    played_to: SessionTime,
    /// Connections and late periods that have been counted so far.
    connections: u32,
    xruns: u32,
    /// The frame with which the next period begins, when none is left out.
    next_frame: Option<Frames>,
    /// Whether a period has panicked: then nothing is played any more but what is owed.
    broken: bool,
}

/// What a performance is made of.
pub(super) struct Parts {
    pub clock: Clock,
    pub latency: Offset,
    pub routing: Arc<Routing>,
    pub speaker: Speaker,
    pub controls: Arc<Claims>,
    pub commands: Consumer<PlayerCommand>,
    pub heard: Producer<TimedMessage>,
    pub slicer: Slicer,
    pub pieces: Producer<Piece>,
    pub sent: Producer<Happening>,
    pub status: Arc<Status>,
    pub signals: Arc<Signals>,
}

impl Performance {
    pub fn new(parts: Parts) -> Self {
        let Parts {
            clock,
            latency,
            routing,
            speaker,
            controls,
            commands,
            heard,
            slicer,
            pieces,
            sent,
            status,
            signals,
        } = parts;
        Self {
            clock,
            jack_clock: JackOffset::default(),
            player: Player::default(),
            latency,
            routing,
            speaker,
            thru: Thru::default(),
            tape: Tape::default(),
            controls,
            commands,
            heard,
            slicer,
            pieces,
            sent,
            status,
            signals,
            owed: Owed::default(),
            held: Held::default(),
            stranded: Stranded::default(),
            played_to: SessionTime::ZERO,
            connections: 0,
            xruns: 0,
            next_frame: None,
            broken: false,
        }
    }

    /// One period of JACK's.
    ///
    /// Thread: JACK's. Realtime-safe: yes.
    pub fn period(&mut self, client: &Client, scope: &ProcessScope, input: &Port<MidiIn>, output: &mut Port<MidiOut>) {
        self.status.life.player.beat();
        let now = self.clock.now();
        let jack_now = client.time();
        self.jack_clock.measured(now, jack_now, self.clock.now());
        let (begin_us, length) = match scope.cycle_times() {
            // A server that has just begun may not know its times yet.
            Ok(times) if can_be(&times, jack_now) => {
                (times.current_usecs, times.next_usecs.checked_sub(times.current_usecs))
            }
            _ => (jack_now, None),
        };
        let begin = self.jack_clock.session_time(begin_us);
        let period = Period::new(begin, scope.n_frames(), client.sample_rate(), length);
        let end = period.time_of(scope.n_frames());
        if self.follows_late_ones(scope) {
            // The server may tell of it a period later.
            let length = end.since(begin);
            self.stranded.late(begin - length - length);
        }
        self.played_to = end;

        let connections = self.signals.connections.load(Relaxed);
        if std::mem::replace(&mut self.connections, connections) != connections {
            self.routing.echoes.plugged();
        }

        // The player lives in musical time, which the port's latency moves against the session's.
        let latency = self.latency;
        let music = latency.musical(begin);

        let mut out = Placer {
            writer: output.writer(scope),
            period,
            latency,
            frame: 0,
            left: None,
            sent: &mut self.sent,
            routing: &self.routing,
            speaker: &mut self.speaker,
            owed: &mut self.owed,
            stranded: &mut self.stranded,
            status: &self.status,
        };
        out.pay();
        if let Some(mut ends) = out.stranded.ends_due(begin, connections) {
            ends.release(|end| out.say_again(end));
        }
        out.stranded.ends_in_doubt(begin).into_iter().flatten().flatten().for_each(|end| out.say_again(end));
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
        if self.signals.human_gone.swap(false, Relaxed) {
            ears.let_go(period.begin, &mut out);
        }
        for event in input.iter(scope) {
            let time = period.time_of(event.time);
            let mut rest = event.bytes;
            while let Some(cut) = ears.slicer.cut(time, &mut rest) {
                match cut {
                    Cut::Piece(piece) => ears.keep(piece),
                    Cut::Other(message) => ears.meet(time, message, &mut out),
                }
            }
        }
        fault::point("jack process");
        if self.signals.stopping.load(Relaxed) || self.broken {
            self.player.release(music, |time, message| out.send(time, message));
            self.thru.release(|message| out.pass(music, message));
            self.tape.stop(|message| out.pass_own(music, message));
            if self.stranded.is_in_doubt() {
                self.signals.released.store(0, Relaxed);
            } else {
                self.signals.released.fetch_add(1, Relaxed);
            }
        } else {
            let until = latency.musical(period.last_due());
            self.player.play(until, |time, message| out.send(time, message));
            self.tape.play(until, |time, message| out.pass_own(time, message));
        }
        self.count();
    }

    /// Whether periods were late since the last one, ours or somebody else's: the server has told of xruns, or the frames do
    /// not follow on those before.
    fn follows_late_ones(&mut self, scope: &ProcessScope) -> bool {
        let (frame, xruns) = (scope.last_frame_time(), self.signals.xruns.load(Relaxed));
        let expected = self.next_frame.replace(frame.wrapping_add(scope.n_frames()));
        let told = xruns.wrapping_sub(std::mem::replace(&mut self.xruns, xruns));
        self.status.xruns.fetch_add(told.into(), Relaxed);
        told > 0 || expected.is_some_and(|expected| expected != frame)
    }

    /// A period has panicked. That took its time.
    pub fn breaks(&mut self) {
        self.stranded.late(self.played_to);
        self.broken = true;
        self.status.failed.store(true, Relaxed);
    }

    /// The server has gone, noticed at `now`: what sounded ended with it, and the human lets go of what they held. What
    /// sounded may do so still, at a synth that needs no server; it is ended when there is a way to it again.
    pub fn lose_the_server(&mut self, now: SessionTime) {
        let Self { player, thru, owed, stranded, sent, status, speaker, routing, .. } = self;
        let ended = self.played_to.min(now);
        stranded.server_gone(ended);
        owed.take().for_each(|note_off| stranded.keep(note_off));
        thru.release(|_| ());
        self.tape.stop(|message| speaker.play(Part::Ai, now, message));
        // A SysEx message that will not go on ends.
        if self.slicer.break_off().is_some_and(|end| self.pieces.push(end).is_err()) {
            status.sysex_dropped.fetch_add(1, Relaxed);
        }
        player.release(self.latency.musical(ended), |time, message| {
            speaker.play(Part::Ai, now, message);
            note_down(TimedMessage { time, message }, sent, status);
        });
        let music = self.latency.musical(now);
        std::mem::take(&mut self.held).release(|message| {
            let timed = TimedMessage { time: now, message };
            status.received.fetch_add(1, Relaxed);
            routing.hands.hear(message);
            if !self.controls.claims(message) {
                speaker.play(Part::Human, now, message);
                self.player.command(PlayerCommand::Human(timed), music, |_, _| {});
            }
            if self.heard.push(timed).is_err() {
                status.input_dropped.fetch_add(1, Relaxed);
                routing.hands.missed_in_a_ring();
            }
        });
    }

    /// There is no server at `now`: whatever is due goes by unheard, so that nothing piles up.
    pub fn go_by(&mut self, now: SessionTime) {
        self.status.life.player.beat();
        let music = self.latency.musical(now);
        while let Ok(command) = self.commands.pop() {
            self.player.command(command, music, |_, _| {});
            self.tape.command(command, |_| {});
        }
        self.player.play(music, |_, _| {});
        self.tape.play(music, |_, _| {});
        self.count();
    }

    /// There is a server again at `now`, perhaps another one: the clocks are compared anew, and nothing sounds.
    pub fn meet_a_server(&mut self, now: SessionTime) {
        self.go_by(now);
        // What began unheard has nothing to end.
        self.player.release(self.latency.musical(now), |_, _| {});
        self.jack_clock = JackOffset::default();
        self.next_frame = None;
        self.xruns = self.signals.xruns.load(Relaxed);
        self.stranded.server_back(now, self.signals.connections.load(Relaxed));
    }

    fn count(&self) {
        self.status.plan_refused.store(self.player.refused() + self.tape.refused(), Relaxed);
        self.status.gated.store(self.player.gated(), Relaxed);
    }
}

/// Whether a period that is played at `now` can be this one: begun, and not long ago. JACK smooths its times, which may put
/// them ahead by a little.
fn can_be(period: &CycleTimes, now: Time) -> bool {
    let ahead = period.next_usecs.saturating_sub(period.current_usecs).min(BELIEVED_WITHIN_US);
    (now.saturating_sub(BELIEVED_WITHIN_US)..=now + ahead).contains(&period.current_usecs)
}

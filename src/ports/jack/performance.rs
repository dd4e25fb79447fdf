//! The player inside JACK's `process()`: what it does in a period, and what it does while there is no server.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jack::{Client, CycleTimes, Frames, MidiIn, MidiOut, MidiWriter, Port, ProcessScope, RawMidi, Time};
use rtrb::{Consumer, Producer};

use super::Signals;
use super::frames::{JackOffset, Period};
use super::stranded::Stranded;
use crate::control::Claims;
use crate::echo::Origin;
use crate::fault;
use crate::midi::{ShortMessage, TimedMessage};
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
        if self.follows_late_ones(scope) {
            // Told by the server a moment after it is seen by the frames, one counts once.
            self.status.xruns.fetch_add(u64::from(!self.stranded.is_in_doubt()), Relaxed);
            self.stranded.late(begin);
        }
        self.played_to = period.time_of(scope.n_frames());

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
        for mut ends in out.stranded.ends_due(begin, connections).into_iter().chain(out.stranded.ends_in_doubt()) {
            ends.release(|message| out.pass(music, message));
        }
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
            if !self.stranded.is_in_doubt() {
                self.signals.released.fetch_add(1, Relaxed);
            }
        } else {
            let until = latency.musical(period.last_due());
            self.player.play(until, |time, message| out.send(time, message));
            self.tape.play(until, |time, message| out.pass_own(time, message));
        }
        self.count();
    }

    /// Whether periods were late since the last one, ours or somebody else's.
    fn follows_late_ones(&mut self, scope: &ProcessScope) -> bool {
        let (frame, xruns) = (scope.last_frame_time(), self.signals.xruns.load(Relaxed));
        let expected = self.next_frame.replace(frame.wrapping_add(scope.n_frames()));
        let told = std::mem::replace(&mut self.xruns, xruns) != xruns;
        told || expected.is_some_and(|expected| expected != frame)
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
        let Ok(message) = ShortMessage::from_bytes(bytes) else {
            self.status.passed_over.fetch_add(1, Relaxed);
            return;
        };
        if self.routing.echoes.is_echo(time, message, &self.routing.hands) {
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
        self.status.received.fetch_add(1, Relaxed);
        self.routing.hands.hear(message);
        if self.controls.claims(message) {
            // Heard of in the next period.
            if self.controls.calls_for_panic(message) {
                self.routing.call_for_silence();
            }
        } else {
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
    stranded: &'a mut Stranded,
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
        // What was late is recorded where it sounded.
        let time = time.max(self.latency.musical(self.period.begin));
        note_down(TimedMessage { time, message }, self.sent, self.status);
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
        self.stranded.sent(left, message);
        self.write(message);
        left
    }
}

/// Antiphon has played this. Policy when full: the copy is dropped and counted; the sound goes on.
fn note_down(played: TimedMessage, sent: &mut Producer<Happening>, status: &Status) {
    status.sent(played.message);
    if sent.push(Happening::Ai(played)).is_err() {
        status.record_dropped.fetch_add(1, Relaxed);
    }
}

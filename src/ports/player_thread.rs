//! The player on a thread of its own, for MIDI systems that are sent to at the deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::cables::{CableId, MOST};
use super::offset::Offset;
use super::realtime;
use super::routing::Routing;
use super::wire::{MidiOutput, Wire};
use super::{PortError, Release, Silence, Speaker, Wiring};
use crate::echo::Origin;
use crate::fault;
use crate::life::BEAT_EVERY;
use crate::midi::{ShortMessage, TimedMessage};
use crate::playback::Tape;
use crate::player::{self, Player, PlayerCommand};
use crate::status::Status;
use crate::synth::Part;
use crate::take::Happening;
use crate::thru::Thru;
use crate::time::{Clock, SessionDuration, SessionTime};

/// Orders that may wait: a whole plan, and as much again for cancellations.
pub(super) const ORDERS: usize = 2 * player::CAPACITY;

/// How soon a note-off that a port refused is sent again.
const RETRY_AFTER: SessionDuration = SessionDuration::from_millis(5);

/// How often that is tried at the end: the way out waits for half a second.
const LAST_TRIES: usize = 80;

/// What the thread is done with and may not drop itself, since closing a port takes its time. When it is full, which
/// takes hundreds of ports within a quarter of a second, the thread drops it all the same.
const SCRAP: usize = 4 * MOST;

/// What reaches the player's thread.
pub enum Order {
    /// For the player.
    Command(PlayerCommand),
    /// A change of its ports.
    Ports(Change),
    /// Silence has been called for.
    Look,
    /// Release what sounds and end.
    End,
}

/// A change of the ports that messages leave by. Made elsewhere, so that the player's thread neither waits nor takes
/// memory.
pub struct Change(Replug);

enum Replug {
    /// Messages leave by this as well from now on. It takes over the debts of the wire of the same cable.
    Plug(Box<Wire>),
    /// The port at the end of this cable has gone.
    Unplug(CableId),
    /// The cable is wanted no longer.
    Remove(CableId),
}

/// What the player's thread is done with.
pub(super) enum Scrap {
    Wire(#[expect(dead_code, reason = "only to be dropped")] Box<Wire>),
    Output(#[expect(dead_code, reason = "only to be dropped")] Box<dyn MidiOutput>),
}

impl Change {
    pub(super) fn plug(wire: Wire) -> Order {
        Order::Ports(Self(Replug::Plug(Box::new(wire))))
    }

    pub(super) fn unplug(cable: CableId) -> Order {
        Order::Ports(Self(Replug::Unplug(cable)))
    }

    pub(super) fn remove(cable: CableId) -> Order {
        Order::Ports(Self(Replug::Remove(cable)))
    }
}

/// A thread that plays, and how to reach it.
pub(super) struct Started {
    pub orders: Sender<Order>,
    pub thread: PlayerThread,
    /// How well it keeps time, in words.
    pub timing: String,
    /// What it is done with: to be emptied, and dropped, by a thread that may wait.
    pub scrap: Receiver<Scrap>,
}

/// The running thread. Dropping it ends the thread; then what sounds has been released.
pub struct PlayerThread {
    orders: Sender<Order>,
    /// Nothing comes here; it closes when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl PlayerThread {
    /// Starts the thread with our own port, if there is one. The player lives in musical time; `earliest` is the offset
    /// of the port at which messages leave first.
    pub(super) fn start(
        output: Option<(Box<dyn MidiOutput>, Offset)>,
        earliest: Offset,
        wiring: &mut Wiring,
    ) -> Result<Started, PortError> {
        let (sender, orders) = crossbeam_channel::bounded(ORDERS);
        let (at_the_end, ended) = crossbeam_channel::bounded(0);
        let (tell_priority, priority) = crossbeam_channel::bounded(1);
        let (performance, scrap) = Performance::new(output, earliest, wiring);
        let thread = thread::Builder::new()
            .name("player".into())
            .spawn(move || {
                let _ = tell_priority.send(realtime::raise());
                performance.run(&orders);
                drop(at_the_end);
            })
            .map_err(|error| PortError::Unavailable { system: "the player's thread", why: error.to_string() })?;
        let timing = priority.recv().unwrap_or_default();
        let thread = Self { orders: sender.clone(), ended, thread: Some(thread) };
        Ok(Started { orders: sender, thread, timing, scrap })
    }

    /// Ends the thread from any other one.
    pub(super) fn release(&self) -> Release {
        let (orders, ended) = (self.orders.clone(), self.ended.clone());
        Arc::new(move |within| {
            let until = Instant::now() + within;
            // An error is a thread that has ended already, or one whose queue stays full.
            let _ = orders.send_deadline(Order::End, until);
            matches!(ended.recv_deadline(until), Err(RecvTimeoutError::Disconnected))
        })
    }

    /// Calls for silence from any other thread. The call has a place of its own, so that no full queue stops it.
    pub(super) fn silence(&self, routing: &Arc<Routing>) -> Silence {
        silence(self.orders.clone(), Arc::clone(routing))
    }
}

/// Calls for silence at the other end of the queue `orders`.
pub(super) fn silence(orders: Sender<Order>, routing: Arc<Routing>) -> Silence {
    Arc::new(move || {
        routing.call_for_silence();
        // A thread whose queue is full is awake.
        let _ = orders.try_send(Order::Look);
    })
}

impl Drop for PlayerThread {
    fn drop(&mut self) {
        // Waits while the queue is full: the thread empties it, or has ended already.
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has released the notes on its way out, and is reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Everything that the player's thread may touch.
pub(super) struct Performance {
    clock: Clock,
    /// That of the earliest port. The player lives in musical time.
    offset: Offset,
    player: Player,
    thru: Thru,
    /// A take that is played back.
    tape: Tape,
    wires: Wires,
    throw_away: Sender<Scrap>,
}

/// Where messages leave.
struct Wires {
    clock: Clock,
    /// That of the earliest port.
    offset: Offset,
    #[expect(clippy::vec_box, reason = "taking one out of its box would give memory back on the player's thread")]
    wires: Vec<Box<Wire>>,
    /// When the last message of an answer left.
    left: Option<SessionTime>,
    routing: Arc<Routing>,
    record: Sender<Happening>,
    speaker: Speaker,
    status: Arc<Status>,
}

impl Wires {
    /// Sends what the plan wants at the musical time `time`, which is now at the earliest port.
    fn send(&mut self, time: SessionTime, message: ShortMessage) {
        self.note_down(time, message);
        let left = self.write(message, Origin::Own, Wire::send);
        if message.is_note_on() {
            self.status.figures.note_left(self.offset.leaves_at(time), left);
        }
        // In musical time, which may be ahead; the sound waits for it.
        self.speaker.play(Part::Ai, time.max(self.offset.leaves_at(time)), message);
    }

    /// Sends at once what ends a note out of turn; it is heard at the musical time `time`.
    fn send_at_once(&mut self, time: SessionTime, message: ShortMessage) {
        self.note_down(time, message);
        self.left = Some(self.write(message, Origin::Own, Wire::send_at_once));
        self.speaker.play(Part::Ai, self.clock.now(), message);
    }

    /// Sends a message of a take that is played back; it is not recorded again.
    fn replay(&mut self, message: ShortMessage) {
        let now = self.write(message, Origin::Own, Wire::send);
        self.speaker.play(Part::Ai, now, message);
    }

    /// Sends at once what ends something of it.
    fn end_replay(&mut self, message: ShortMessage) {
        let now = self.write(message, Origin::Own, Wire::send_at_once);
        self.speaker.play(Part::Ai, now, message);
    }

    /// Passes on what the human played; it is recorded as theirs.
    fn pass(&mut self, message: ShortMessage) {
        self.write(message, Origin::Thru, Wire::pass);
    }

    /// Says when it left.
    fn write(
        &mut self,
        message: ShortMessage,
        origin: Origin,
        way: fn(&mut Wire, SessionTime, ShortMessage, &Routing),
    ) -> SessionTime {
        let now = self.clock.now();
        // Before it is sent, so that no echo is quicker.
        if self.wires.iter().any(|wire| wire.is_prompt()) {
            self.routing.echoes.sent(now, message, origin);
        }
        for wire in &mut self.wires {
            way(wire, now, message, &self.routing);
        }
        self.count_refusals();
        self.clock.now()
    }

    /// To be called before the message leaves, as the player's ledger is written before: where a driver panics the record
    /// has an end for each note that it has begun.
    fn note_down(&self, time: SessionTime, message: ShortMessage) {
        self.status.sent(message);
        // Policy when full: the copy is dropped and counted; the sound goes on.
        if self.record.try_send(Happening::Ai(TimedMessage { time, message })).is_err() {
            self.status.record_dropped.fetch_add(1, Relaxed);
        }
    }

    /// The answer on `channel` is over.
    fn silence(&mut self, channel: u8) {
        let now = self.clock.now();
        self.wires.iter_mut().for_each(|wire| wire.silence(now, channel, &self.routing));
    }

    fn catch_up(&mut self) {
        let now = self.clock.now();
        self.wires.iter_mut().for_each(|wire| wire.catch_up(now, &self.routing));
        self.count_refusals();
    }

    fn count_refusals(&mut self) {
        let refusals: u64 = self.wires.iter_mut().map(|wire| std::mem::take(&mut wire.refusals)).sum();
        if refusals > 0 {
            self.status.send_failed.fetch_add(refusals, Relaxed);
        }
    }
}

impl Performance {
    /// With our own port, if there is one; and what it is done with.
    pub(super) fn new(
        output: Option<(Box<dyn MidiOutput>, Offset)>,
        earliest: Offset,
        wiring: &mut Wiring,
    ) -> (Self, Receiver<Scrap>) {
        let (throw_away, scrap) = crossbeam_channel::bounded(SCRAP);
        // With room for all cables, so that the thread takes no memory.
        let mut wires = Vec::with_capacity(MOST + 1);
        wires.extend(output.map(|(output, offset)| Box::new(Wire::new(None, output, offset, earliest))));
        let wires = Wires {
            clock: wiring.clock,
            offset: earliest,
            wires,
            left: None,
            routing: Arc::clone(&wiring.routing),
            record: wiring.record.clone(),
            speaker: std::mem::take(&mut wiring.speaker),
            status: Arc::clone(&wiring.status),
        };
        let performance = Self {
            clock: wiring.clock,
            offset: earliest,
            player: Player::default(),
            thru: Thru::default(),
            tape: Tape::default(),
            wires,
            throw_away,
        };
        (performance, scrap)
    }

    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            self.wires.status.life.player.beat();
            self.play();
            // It does not sleep for so long that it seems to hang.
            let beat = Instant::now() + BEAT_EVERY;
            let wake = self.next_wake().map_or(beat, |wake| beat.min(self.clock.instant(wake)));
            let order = orders.recv_deadline(wake);
            fault::point("player");
            let goes_on = match order {
                Ok(order) => self.take(order, orders),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// How many keys the human is believed to hold.
    #[cfg(test)]
    pub(super) fn keys_held(&self) -> usize {
        let mut count = 0;
        self.player.held(|_| count += 1);
        count
    }

    /// Sends what is due.
    pub(super) fn play(&mut self) {
        let now = self.offset.musical(self.clock.now());
        self.player.play(now, |time, message| self.wires.send(time, message));
        self.tape.play(now, |_, message| self.wires.replay(message));
        self.wires.catch_up();
    }

    /// When there is something to send, if no order comes before.
    pub(super) fn next_wake(&self) -> Option<SessionTime> {
        let wires = &self.wires.wires;
        let retry_at = wires.iter().any(|wire| wire.owes()).then(|| self.clock.now() + RETRY_AFTER);
        let planned = self.player.next_due().into_iter().chain(self.tape.next_due()).min();
        let planned = planned.map(|due| self.offset.leaves_at(due));
        planned.into_iter().chain(wires.iter().filter_map(|wire| wire.next_due())).chain(retry_at).min()
    }

    /// Takes an order from the queue `orders`; false when it is to end.
    pub(super) fn take(&mut self, order: Order, orders: &Receiver<Order>) -> bool {
        self.wires.status.figures.player_queue.saw(orders.len());
        if !self.follow(order) {
            return false;
        }
        if orders.is_empty() && self.wires.routing.hands.player_missed() {
            self.mend();
        }
        !self.wires.routing.takes_call_for_silence() || self.fall_silent(orders)
    }

    /// A queue was full: whatever the human is believed to hold and does not hold goes up.
    fn mend(&mut self) {
        let now = self.clock.now();
        let (player, mut thru) = (&self.player, self.thru.clone());
        let mut gone = Thru::default();
        let routing = Arc::clone(&self.wires.routing);
        // Keys and pedals: the ledger of what is passed on holds both.
        let mut note = |message: ShortMessage| {
            if !routing.hands.holds(message) {
                let down = match *message.as_bytes() {
                    [status @ 0xb0..=0xbf, pedal, _] => ShortMessage::control_change(status & 15, pedal, 127),
                    _ => ShortMessage::note_on(message.channel().unwrap_or(0), message.as_bytes()[1], 64),
                };
                gone.passes(down, true);
            }
        };
        player.held(&mut note);
        thru.release(&mut note);
        gone.release(|message| self.obey(PlayerCommand::Human(TimedMessage { time: now, message })));
    }

    /// Does what an order says; false when it is to end. Dropping the performance then releases what sounds.
    fn follow(&mut self, order: Order) -> bool {
        match order {
            Order::Command(command) => self.obey(command),
            Order::Ports(Change(change)) => self.change(change),
            Order::Look => {}
            Order::End => return false,
        }
        true
    }

    /// Silence, after all that was planned before it was called for; false when it is to end.
    fn fall_silent(&mut self, orders: &Receiver<Order>) -> bool {
        let before = orders.len();
        let goes_on = orders.try_iter().take(before).all(|order| self.follow(order));
        self.obey(PlayerCommand::Panic);
        goes_on
    }

    fn change(&mut self, change: Replug) {
        let wires = &mut self.wires.wires;
        let mut of = |cable| wires.iter_mut().position(|wire| wire.cable == Some(cable));
        let scrap = match change {
            Replug::Plug(mut wire) => match wire.cable.and_then(&mut of) {
                Some(place) => {
                    wire.inherit(&mut wires[place]);
                    Some(Scrap::Wire(std::mem::replace(&mut wires[place], wire)))
                }
                // The keeper lets no more cables be wanted than there is room for.
                None if wires.len() < wires.capacity() => {
                    wires.push(wire);
                    None
                }
                None => Some(Scrap::Wire(wire)),
            },
            Replug::Unplug(cable) => of(cable).and_then(|place| wires[place].unplug()).map(Scrap::Output),
            Replug::Remove(cable) => of(cable).map(|place| {
                let mut wire = wires.swap_remove(place);
                wire.release();
                Scrap::Wire(wire)
            }),
        };
        if let Some(scrap) = scrap {
            let _ = self.throw_away.try_send(scrap);
        }
    }

    fn obey(&mut self, command: PlayerCommand) {
        let now = self.offset.musical(self.clock.now());
        self.wires.left = None;
        if let PlayerCommand::Human(timed) = command {
            self.wires.speaker.play(Part::Human, timed.time, timed.message);
        }
        self.player.command(command, now, |time, message| self.wires.send_at_once(time, message));
        self.tape.command(command, |message| self.wires.end_replay(message));
        match command {
            PlayerCommand::Human(timed) if timed.message.takes_the_turn() => {
                let figures = &self.wires.status.figures;
                figures.human_struck();
                self.wires.left.into_iter().for_each(|left| figures.barge_in.add(left.since(timed.time)));
            }
            _ => {}
        }
        match command {
            PlayerCommand::Human(timed) if self.thru.passes(timed.message, self.wires.routing.thru()) => {
                self.wires.pass(timed.message);
            }
            PlayerCommand::Panic => {
                self.thru.release(|message| self.wires.pass(message));
                self.wires.speaker.silence_human(self.wires.clock.now());
            }
            _ => {}
        }
        if !self.tape.plays() {
            (0..16).filter(|channel| !self.player.answers(*channel)).for_each(|channel| self.wires.silence(channel));
        }
        self.wires.status.plan_refused.store(self.player.refused() + self.tape.refused(), Relaxed);
        self.wires.status.gated.store(self.player.gated(), Relaxed);
    }
}

impl Drop for Performance {
    /// Releases what sounds, also when the thread panics; then the session is over.
    fn drop(&mut self) {
        if thread::panicking() {
            self.wires.status.failed.store(true, Relaxed);
        }
        let now = self.offset.musical(self.clock.now());
        self.player.release(now, |time, message| self.wires.send_at_once(time, message));
        self.tape.stop(|message| self.wires.end_replay(message));
        (0..16).for_each(|channel| self.wires.silence(channel));
        self.thru.release(|message| self.wires.pass(message));
        // A panic may have come between a ledger and its port.
        self.wires.wires.iter_mut().for_each(|wire| wire.owe_all());
        self.wires.catch_up();
        // A port that is busy gets some time; nothing else is to be done any more.
        for _ in 0..LAST_TRIES {
            if !self.wires.wires.iter().any(|wire| wire.owes()) {
                return;
            }
            thread::sleep(RETRY_AFTER.into());
            self.wires.catch_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Mutex;
    use std::time::Duration;

    use super::super::by_hand::PlayerByHand;
    use super::*;
    use crate::midi::MidiEvent;
    use crate::note::Note;
    use crate::player::PlannedNote;

    /// A port that refuses its first note-offs, and remembers what it took.
    struct Reluctant {
        refusals: usize,
        took: Arc<Mutex<Vec<ShortMessage>>>,
    }

    impl MidiOutput for Reluctant {
        fn send(&mut self, message: ShortMessage) -> bool {
            if !message.is_note_on() && self.refusals > 0 {
                self.refusals -= 1;
                return false;
            }
            self.took.lock().expect("not poisoned").push(message);
            true
        }
    }

    /// What a port that refuses that many note-offs has taken of one short note, and the failures counted.
    fn played(refusals: usize) -> (Vec<ShortMessage>, u64) {
        let took = Arc::new(Mutex::new(Vec::new()));
        let status = Arc::new(Status::default());
        let (record, _recorded) = crossbeam_channel::bounded(16);
        let port = Box::new(Reluctant { refusals, took: Arc::clone(&took) });
        let mut wiring = Wiring::in_a_test(record, Arc::clone(&status));
        let clock = wiring.clock;
        let Started { orders, thread, .. } =
            PlayerThread::start(Some((port, Offset::default())), Offset::default(), &mut wiring).expect("started");
        let note = Note { onset: clock.now(), key: 60, duration: SessionDuration::from_millis(5), velocity: 80 };
        orders
            .send(Order::Command(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 3, note })))
            .expect("listening");
        let begun = Instant::now();
        while took.lock().expect("not poisoned").len() < 2 && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        drop(thread);
        let took = took.lock().expect("not poisoned").clone();
        (took, status.send_failed.load(Relaxed))
    }

    #[test]
    fn silence_that_is_called_for_ends_what_sounds_and_forgets_what_was_planned() {
        let took = Arc::new(Mutex::new(Vec::new()));
        let (record, _recorded) = crossbeam_channel::bounded(4096);
        let port = Box::new(Reluctant { refusals: 0, took: Arc::clone(&took) });
        let mut wiring = Wiring::in_a_test(record, Arc::default());
        let clock = wiring.clock;
        let Started { orders, thread, .. } =
            PlayerThread::start(Some((port, Offset::default())), Offset::default(), &mut wiring).expect("started");
        let silence = thread.silence(&wiring.routing);
        let play = |ms: u64, key| {
            let onset = clock.now() + SessionDuration::from_millis(ms);
            let note = Note { onset, key, duration: SessionDuration::from_millis(60_000), velocity: 80 };
            Order::Command(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 3, note }))
        };
        let wait_until = |done: &dyn Fn(&[ShortMessage]) -> bool| {
            let begun = Instant::now();
            while !done(&took.lock().expect("not poisoned")) {
                assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", took.lock());
                thread::sleep(Duration::from_millis(1));
            }
        };
        orders.send(play(0, 60)).expect("listening");
        wait_until(&|took| took.len() == 1);
        for _ in 0..500 {
            orders.send(play(3_000, 62)).expect("listening");
        }
        silence();
        wait_until(&|took| took.last() == Some(&ShortMessage::all_sound_off(15)));
        let silent = Instant::now();
        let (on, off) = (ShortMessage::note_on(3, 60, 80), ShortMessage::note_off(3, 60));
        let mut keys = took.lock().expect("not poisoned").clone();
        keys.retain(|message| message.moves_a_key() && message.as_bytes()[0] < 0xb0);
        assert_eq!(keys, [on, off]);
        // What was planned before never comes; what is planned afterwards does.
        let onset = clock.now() + SessionDuration::from_millis(3_100);
        let note = Note { onset, key: 64, duration: SessionDuration::from_millis(1), velocity: 80 };
        orders
            .send(Order::Command(PlayerCommand::Play(PlannedNote { epoch: 2, channel: 3, note })))
            .expect("listening");
        wait_until(&|took| took.last() == Some(&ShortMessage::note_off(3, 64)));
        assert!(silent.elapsed() > Duration::from_secs(3));
        drop(thread);
        let took = took.lock().expect("not poisoned");
        assert!(!took.contains(&ShortMessage::note_on(3, 62, 80)), "{took:?}");
    }

    #[test]
    fn a_note_off_that_the_port_refused_is_sent_again() {
        let whole = vec![ShortMessage::note_on(3, 60, 80), ShortMessage::note_off(3, 60)];
        assert_eq!(played(0), (whole.clone(), 0));
        assert_eq!(played(3), (whole, 1));
    }

    /// A port whose driver panics once, after so many messages.
    struct Fragile(Option<usize>);

    impl MidiOutput for Fragile {
        fn send(&mut self, _message: ShortMessage) -> bool {
            if let Some(left) = self.0.take() {
                self.0 = Some(left.checked_sub(1).unwrap_or_else(|| resume_unwind(Box::new("the driver panics"))));
            }
            true
        }
    }

    /// Found by the note-debts test.
    #[test]
    fn whenever_a_driver_panics_each_note_in_the_record_has_its_end() {
        for messages in 0..4 {
            let (record, recorded) = crossbeam_channel::bounded(16);
            let mut wiring = Wiring::in_a_test(record, Arc::default());
            wiring.clock = Clock::by_hand();
            let clock = wiring.clock;
            let port = Box::new(Fragile(Some(messages)));
            let mut player = PlayerByHand::new(port, Offset::default(), Offset::default(), wiring);
            let mut link = player.link();
            // The second begins while the first sounds.
            for ms in [10, 20] {
                let onset = SessionTime::from_micros(ms * 1000);
                let note = Note { onset, key: 60, duration: SessionDuration::from_millis(15), velocity: 80 };
                link.send(PlayerCommand::Play(PlannedNote { epoch: 1, channel: 0, note }));
            }
            clock.set(SessionTime::from_micros(50_000));
            catch_unwind(AssertUnwindSafe(move || player.run())).expect_err("the driver panics");
            let notes: Vec<MidiEvent> = recorded
                .try_iter()
                .filter_map(|happening| match happening {
                    Happening::Ai(timed) => Some(timed.message.event()),
                    _ => None,
                })
                .collect();
            let (on, off) = (ShortMessage::note_on(0, 60, 80).event(), ShortMessage::note_off(0, 60).event());
            let begun = if messages < 2 { 1 } else { 2 };
            assert_eq!(notes, [on, off].repeat(begun), "{messages} messages");
        }
    }
}

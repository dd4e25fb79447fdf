//! A session without threads: the conductor's part, the player's part and the ports, moved under virtual time.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::{Receiver, Sender};

use super::script::{CABLES, Event, Exit, SOURCES, Script};
use super::synth::Synth;
use super::wild::{Mood, Moody, Wild, mixed};
use crate::control::{Assignment, Control, ControlMap};
use crate::ensemble::{Ensemble, Opening};
use crate::figures::{Heard, Progress, Report};
use crate::midi::{MidiEvent, ShortMessage};
use crate::playback::Deck;
use crate::ports::by_hand::{PlayerByHand, SourceByHand};
use crate::ports::{Cue, InputSink, Offset, Routing, Silence, Wiring};
use crate::session::desk::Desk;
use crate::session::stand::Stand;
use crate::session::{INPUT_QUEUE, RECORD_QUEUE};
use crate::settings::{BargeIn, Feedback, Mode, SETTINGS, Settings};
use crate::shelf::Shelf;
use crate::status::Status;
use crate::take::Happening;
use crate::time::{Clock, SessionDuration, SessionTime};

/// After this all that is due at once has been done, refusals of ports included.
const SOON: SessionDuration = SessionDuration::from_millis(300);

/// Time in which everything that was planned and held has come to its end: the longest note.
const LONG: SessionDuration = SessionDuration::from_millis(25_000);

/// Within this a human who rests is answered, with the settings as they are at the beginning.
const ANSWERED_WITHIN: SessionDuration = SessionDuration::from_millis(20_000);

/// Steps at one moment, beyond which nobody believes that it comes to an end.
const STEPS: usize = 2_000_000;

/// What happened, for the report.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Counts {
    pub human_notes: u64,
    pub notes: u64,
    pub dropped_on_the_way_in: u64,
    pub keys_missed_by_the_player: u64,
    pub plan_dropped: u64,
    pub refused_by_ports: u64,
    pub never_heard_by_the_model: u64,
    pub calms: u64,
    pub virtual_seconds: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.human_notes += other.human_notes;
        self.notes += other.notes;
        self.dropped_on_the_way_in += other.dropped_on_the_way_in;
        self.keys_missed_by_the_player += other.keys_missed_by_the_player;
        self.plan_dropped += other.plan_dropped;
        self.refused_by_ports += other.refused_by_ports;
        self.never_heard_by_the_model += other.never_heard_by_the_model;
        self.calms += other.calms;
        self.virtual_seconds += other.virtual_seconds;
    }
}

/// A port that is sent to.
struct Port {
    synth: Synth,
    offset: Offset,
    plugged: bool,
}

/// See above.
pub(super) struct Room {
    clock: Clock,
    stand: Option<Stand<Wild>>,
    player: Option<PlayerByHand>,
    /// Those of the human, and the one to which what left is led back.
    sources: Vec<SourceByHand>,
    input: InputSink,
    to_conductor: Sender<Cue>,
    silence: Silence,
    recorded: [Receiver<Happening>; 2],
    /// Our own first, then by cable.
    ports: Vec<Port>,
    status: Arc<Status>,
    moody: Moody,
    thru: bool,
    /// What the human holds: source, channel, key; and pedals as controllers above 127.
    held: BTreeSet<(usize, u8, u8)>,
    loop_delay: u64,
    on_the_way: VecDeque<(SessionTime, ShortMessage)>,
    clock_every: u64,
    next_clock: SessionTime,
    /// Until when the conductor and the player get no time.
    stalled: [SessionTime; 2],
    /// Messages of the human that were recorded.
    recorded_messages: u64,
    /// Keys that sound, by the record of what Antiphon sent.
    recorded_keys: [u128; 16],
    counts: Counts,
}

fn us(us: u64) -> SessionDuration {
    SessionDuration::from_micros(us)
}

impl Room {
    /// Runs the session of a script; what was wrong, and at which of its events.
    pub(super) fn play(script: &Script) -> Result<Counts, (usize, String)> {
        let mut room = Self::new(script);
        for (place, event) in script.events.iter().enumerate() {
            room.happen(event).map_err(|why| (place, why))?;
        }
        room.leave(script.exit).map_err(|why| (script.events.len(), why))
    }

    fn new(script: &Script) -> Self {
        let clock = Clock::by_hand();
        let status = Arc::new(Status::default());
        let (to_conductor, heard) = crossbeam_channel::bounded(INPUT_QUEUE);
        let (from_conductor, conducted) = crossbeam_channel::bounded(RECORD_QUEUE);
        let (from_player, played) = crossbeam_channel::bounded(RECORD_QUEUE);
        let mapped = ["cc119=panic", "cc118=hand-over", "key1=take-back", "cc117=temperature"];
        let mapped = mapped.map(|text| Assignment::parse(text).expect("well formed"));
        let controls = ControlMap::new(vec![mapped.to_vec()]);
        let routing = Arc::new(Routing::default());
        let (watchers, _) = crossbeam_channel::bounded(1);
        let input =
            InputSink::new(to_conductor.clone(), controls.claims(), Arc::clone(&status)).routed(Arc::clone(&routing));
        let ports: Vec<Port> = script.offsets.iter().map(|ms| Self::port(*ms, !script.thru)).collect();
        let earliest = ports.iter().map(|port| port.offset).min().unwrap_or_default();
        let wiring = Wiring {
            name: Default::default(),
            clock,
            input: input.clone(),
            controls: controls.claims(),
            record: from_player,
            routing: Arc::clone(&routing),
            status: Arc::clone(&status),
            watchers: watchers.clone(),
            speaker: Default::default(),
        };
        let player = PlayerByHand::new(Box::new(ports[0].synth.clone()), ports[0].offset, earliest, wiring);
        let moody = Moody::default();
        let opening = Opening { settings: Settings::default(), channel: 0, seed: script.seed };
        let lead = crate::conductor::LEAD + earliest.lead();
        let ensemble = Ensemble::new(Wild::new(script.seed, moody.clone()), opening).expect("it starts");
        let desk = Desk {
            clock,
            player: player.link(),
            unsent: Default::default(),
            offered: None,
            record: from_conductor,
            watchers,
            status: Arc::clone(&status),
        };
        let stand = Stand {
            clock,
            ensemble: ensemble.leading_by(lead),
            heard,
            controls,
            shelf: Shelf::new(Arc::new(|_| Err("there is one".into())), to_conductor.clone()),
            deck: Deck::new(Arc::new(|_| Err("there is none".into())), to_conductor.clone()),
            lead,
            retry_at: SessionTime::ZERO,
            routing,
            desk,
            progress: Progress::default(),
        };
        let mut room = Self {
            clock,
            sources: (0..=SOURCES).map(|_| player.source()).collect(),
            silence: player.silence(),
            stand: Some(stand),
            player: Some(player),
            input,
            to_conductor,
            recorded: [conducted, played],
            ports,
            status,
            moody,
            thru: script.thru,
            held: BTreeSet::new(),
            loop_delay: 0,
            on_the_way: VecDeque::new(),
            clock_every: 0,
            next_clock: SessionTime::ZERO,
            stalled: [SessionTime::ZERO; 2],
            recorded_messages: 0,
            recorded_keys: [0; 16],
            counts: Counts::default(),
        };
        (1..=CABLES).for_each(|cable| room.plug(cable));
        room
    }

    fn port(ms: i32, strict: bool) -> Port {
        let synth = Synth::default();
        synth.state().strict = strict;
        Port { synth, offset: ms.to_string().parse().expect("in range"), plugged: true }
    }

    fn now(&self) -> SessionTime {
        self.clock.now()
    }

    fn happen(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Wait(wait) => self.wait(us(*wait))?,
            Event::Midi(source, bytes) => self.midi(*source, *bytes)?,
            Event::Flood { source, count, seed, player_too } => self.flood(*source, *count, *seed, *player_too)?,
            Event::Ask(line) => self.ask(line)?,
            Event::Panic => {
                (self.silence)();
                self.cue(Cue::Control { at: self.now(), control: Control::Panic })?;
                self.after_a_panic()?;
            }
            Event::Offer(seed) => {
                let model = Wild::new(*seed, self.moody.clone());
                self.stand.as_mut().into_iter().next().expect("it plays").offer(model);
            }
            Event::Unplug(cable) => {
                self.ports[place(*cable)].plugged = false;
                self.player.as_mut().expect("it plays").unplug(*cable);
            }
            Event::Plug(cable) if !self.ports[place(*cable)].plugged => self.plug(*cable),
            Event::Plug(_) => {}
            Event::Remove(cable) => {
                let port = &mut self.ports[place(*cable)];
                // One that is gone for good with its driver refusing keeps what it holds; nobody can help it.
                port.synth.state().refuses = 0;
                let was_there = std::mem::take(&mut port.plugged);
                self.player.as_mut().expect("it plays").remove(*cable);
                self.stalled[1] = SessionTime::ZERO;
                self.settle()?;
                let port = &mut self.ports[place(*cable)];
                let sounding = port.synth.state().sounding();
                if was_there && !sounding.is_empty() {
                    return Err(format!("after port {cable} was removed it still sounds: {sounding}"));
                }
                *port = Port { offset: port.offset, plugged: false, ..Self::port(0, !self.thru) };
            }
            Event::Refuse(port, times) => self.ports[place(*port)].synth.state().refuses = *times,
            Event::SourceGone(source) => {
                self.sources[*source].go();
                self.held.retain(|held| held.0 != *source);
            }
            Event::Loop(delay) => self.lead_back_after(*delay),
            Event::Stall(who, length) => {
                let until = self.now() + us(*length);
                for (stalled, _) in self.stalled.iter_mut().zip(who).filter(|(_, stall)| **stall) {
                    *stalled = until;
                }
            }
            Event::Clock(every) => {
                let message: &[u8] = if *every == 0 { &[0xfc] } else { &[0xfa] };
                self.sources[0].hear(message);
                (self.clock_every, self.next_clock) = (*every, self.now());
            }
            Event::Calm => self.calm()?,
        }
        self.settle()
    }

    fn plug(&mut self, cable: u32) {
        let port = &mut self.ports[place(cable)];
        port.plugged = true;
        port.synth.state().comes_back();
        let (synth, offset) = (Box::new(port.synth.clone()), port.offset);
        self.player.as_mut().expect("it plays").plug(cable, synth, offset);
    }

    fn cue(&mut self, cue: Cue) -> Result<(), String> {
        // Whoever asks waits while the queue is full.
        if self.to_conductor.is_full() {
            self.stalled[0] = SessionTime::ZERO;
            self.settle()?;
        }
        self.to_conductor.try_send(cue).map_err(|_| "the conductor's queue stays full".to_owned())
    }

    fn ask(&mut self, line: &str) -> Result<(), String> {
        let control = Control::parse(line).map_err(|why| format!("{line}: {why}"))?;
        if control == Control::Panic {
            (self.silence)();
        }
        let panic = control == Control::Panic;
        self.cue(Cue::Control { at: self.now(), control })?;
        if panic { self.after_a_panic() } else { Ok(()) }
    }

    fn is_stalled(&self) -> bool {
        self.stalled.iter().any(|until| *until > self.now())
    }

    fn after_a_panic(&mut self) -> Result<(), String> {
        if self.is_stalled() || self.loop_delay > 0 || !self.on_the_way.is_empty() {
            return Ok(());
        }
        self.wait(SOON)?;
        self.all_silent("after a panic")
    }

    fn midi(&mut self, source: usize, bytes: [u8; 3]) -> Result<(), String> {
        let echoes = self.status.echoes.load(Relaxed);
        self.send(source, bytes);
        let message = ShortMessage::from_bytes(&bytes).map_err(|why| why.to_string())?;
        self.settle()?;
        // With the very key and velocity of what Antiphon has just played it may be taken for its echo.
        let is_heard = echoes == self.status.echoes.load(Relaxed);
        let settings = *self.stand.as_ref().expect("it plays").ensemble.settings();
        let ends_all = message.takes_the_turn()
            && settings.mode != Mode::Accompany
            && settings.barge_in == BargeIn::On
            && settings.players == crate::settings::Players::Merged
            && is_heard
            && !(self.is_stalled() || self.thru || self.loop_delay > 0 || !self.on_the_way.is_empty())
            && bytes[1] != 1;
        if ends_all { self.all_silent("after the human came in") } else { Ok(()) }
    }

    /// A source sends this; it is not waited for.
    fn send(&mut self, source: usize, bytes: [u8; 3]) {
        self.sources[source].hear(&bytes);
        let Ok(message) = ShortMessage::from_bytes(&bytes) else { return };
        self.counts.human_notes += u64::from(message.is_note_on());
        match message.event() {
            MidiEvent::NoteOn { channel, key, .. } => {
                self.held.insert((source, channel, key));
            }
            MidiEvent::NoteOff { channel, key } => {
                self.held.remove(&(source, channel, key));
            }
            MidiEvent::Sustain { channel, down } => self.pedal(source, channel, 64, down),
            MidiEvent::Other if bytes[0] & 0xf0 == 0xb0 && bytes[1] == 66 => {
                self.pedal(source, bytes[0] & 15, 66, bytes[2] >= 64);
            }
            _ => {}
        }
    }

    fn pedal(&mut self, source: usize, channel: u8, pedal: u8, down: bool) {
        let held = (source, channel, 128 + pedal - 64);
        if down {
            self.held.insert(held)
        } else {
            self.held.remove(&held)
        };
    }

    fn flood(&mut self, source: usize, count: u16, seed: u64, player_too: bool) -> Result<(), String> {
        for number in 0..u64::from(count) {
            let drawn = mixed(seed ^ number);
            let [a, b, c, ..] = drawn.to_be_bytes();
            let key = 36 + a % 48;
            let bytes = match b % 8 {
                0..4 => [0x90, key, 1 + (c & 63)],
                4..7 => [0x80, key, 64],
                _ => [0xb0, 64, c & 127],
            };
            self.send(source, bytes);
            if !player_too && number % 64 == 0 {
                self.run_player()?;
            }
        }
        self.settle()
    }

    /// Lets time go on.
    fn wait(&mut self, length: SessionDuration) -> Result<(), String> {
        let until = self.now() + length;
        loop {
            self.settle()?;
            let now = self.now();
            if now >= until {
                return Ok(());
            }
            let mut next = until;
            if self.stalled[0] <= now {
                let stand = self.stand.as_mut().expect("it plays");
                next = stand.next_wake(now).map_or(next, |wake| next.min(wake));
            }
            if self.stalled[1] <= now {
                let player = self.player.as_ref().expect("it plays");
                next = player.next_wake().map_or(next, |wake| next.min(wake));
            }
            for stalled in self.stalled.into_iter().filter(|stalled| *stalled > now) {
                next = next.min(stalled);
            }
            if let Some((due, _)) = self.on_the_way.front() {
                next = next.min(*due);
            }
            if self.clock_every > 0 {
                next = next.min(self.next_clock);
            }
            self.clock.set(next.max(now + us(1)));
        }
    }

    fn run_player(&mut self) -> Result<(), String> {
        if self.stalled[1] <= self.now() && !self.player.as_mut().expect("it plays").run() {
            return Err("the player has ended by itself".into());
        }
        Ok(())
    }

    /// Does all that is due now.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.run_player()?;
            let now = self.now();
            let mut moved = self.lead_back(now);
            if self.clock_every > 0 && self.next_clock <= now {
                self.next_clock += us(self.clock_every);
                self.sources[0].hear(&[0xf8]);
                moved = true;
            }
            if self.stalled[0] <= now {
                let stand = self.stand.as_mut().expect("it plays");
                moved |= step(stand, now).map_err(|why| why.to_string())?;
            }
            self.look()?;
            if !moved {
                return self.run_player();
            }
        }
        Err("it never comes to rest".into())
    }

    /// What left comes back, if there is a loop.
    fn lead_back(&mut self, now: SessionTime) -> bool {
        for (number, port) in self.ports.iter().enumerate() {
            let came = std::mem::take(&mut port.synth.state().came);
            if number == 0 && self.loop_delay > 0 {
                let due = now + us(self.loop_delay);
                self.on_the_way.extend(came.into_iter().map(|message| (due, message)));
            }
        }
        let settings = self.stand.as_ref().map(|stand| *stand.ensemble.settings()).unwrap_or_default();
        // Who wants to hear what they pass on in a circle gets what they asked for.
        if self.thru && settings.feedback == Feedback::Hear && self.loop_delay > 0 {
            self.lead_back_after(0);
        }
        let mut moved = false;
        while let Some((_, message)) = self.on_the_way.pop_front_if(|(due, _)| *due <= now) {
            self.sources[SOURCES].hear(message.as_bytes());
            moved = true;
        }
        moved
    }

    /// The cable that leads back is pulled, with all that is on it, or is another from now on.
    fn lead_back_after(&mut self, delay: u64) {
        self.sources[SOURCES].go();
        self.on_the_way.clear();
        self.loop_delay = delay;
    }

    /// Looks for what may never be.
    fn look(&mut self) -> Result<(), String> {
        for (number, port) in self.ports.iter().enumerate() {
            if let Some(fault) = port.synth.state().faults.pop() {
                return Err(format!("at port {number} {fault}"));
            }
        }
        let human = self.recorded[0].try_iter().filter(|happening| matches!(happening, Happening::Human(_)));
        self.recorded_messages += human.count() as u64;
        while let Ok(happening) = self.recorded[1].try_recv() {
            let Happening::Ai(timed) = happening else { continue };
            let (MidiEvent::NoteOn { channel, key, .. } | MidiEvent::NoteOff { channel, key }) = timed.message.event()
            else {
                continue;
            };
            let (keys, bit) = (&mut self.recorded_keys[usize::from(channel)], 1 << key);
            let is_on = timed.message.is_note_on();
            if (*keys & bit != 0) == is_on {
                return Err(format!(
                    "by the record, key {channel}:{key} is {}",
                    if is_on { "struck twice" } else { "released twice" }
                ));
            }
            *keys ^= bit;
        }
        Ok(())
    }

    /// Nothing sounds at any port that is there and takes what it is sent.
    fn all_silent(&self, when: &str) -> Result<(), String> {
        for (number, port) in self.ports.iter().enumerate().filter(|(_, port)| port.plugged) {
            let state = port.synth.state();
            let sounding = state.sounding();
            if state.refuses == 0 && !state.refused_lately && !sounding.is_empty() {
                return Err(format!("{when}, at {}, port {number} still sounds: {sounding}", self.now()));
            }
        }
        Ok(())
    }

    /// All that came in was recorded, was control, or was dropped.
    fn all_accounted_for(&self) -> Result<(), String> {
        let report = Report::new(&self.status);
        let Heard { messages, mended, control, .. } = report.heard;
        let went = self.recorded_messages + control + report.dropped.input + report.dropped.record;
        if messages + mended != went {
            let recorded = self.recorded_messages;
            return Err(format!(
                "{recorded} recorded messages do not add up: {:?}, {:?}",
                report.heard, report.dropped
            ));
        }
        Ok(())
    }

    fn let_go(&mut self) {
        for (source, channel, key) in std::mem::take(&mut self.held) {
            let bytes = if key < 128 { [0x80 | channel, key, 64] } else { [0xb0 | channel, key - 128 + 64, 0] };
            self.sources[source].hear(&bytes);
        }
    }

    fn calm(&mut self) -> Result<(), String> {
        self.counts.calms += 1;
        self.stalled = [SessionTime::ZERO; 2];
        self.lead_back_after(0);
        self.ports.iter().for_each(|port| port.synth.state().refuses = 0);
        self.let_go();
        self.settle()?;
        // An echo that is on its way may still be heard.
        self.wait(SOON)?;
        self.ask("mode listen")?;
        self.ask("feedback suppress")?;
        self.let_go();
        self.wait(LONG)?;
        self.ports.iter().for_each(|port| port.synth.state().refused_lately = false);
        self.all_silent("long after everybody has let go")?;
        self.all_accounted_for()?;
        let mut held = Vec::new();
        self.stand.as_ref().expect("it plays").ensemble.held(|message| held.push(message));
        if !held.is_empty() {
            return Err(format!("the conductor believes that these are held: {held:?}"));
        }
        let keys = self.player.as_ref().expect("it plays").keys_held();
        if keys != 0 {
            return Err(format!("the player believes that {keys} keys are held"));
        }
        for setting in SETTINGS {
            let change = setting.change(setting.value(&Settings::default())).expect("in range");
            self.cue(Cue::Control { at: self.now(), control: Control::Set(change) })?;
            self.settle()?;
        }
        self.settle()?;
        let before = self.own_notes();
        for bytes in [[0x90, 50, 70], [0x80, 50, 64]] {
            self.send(1, bytes);
            self.wait(us(100_000))?;
        }
        let until = self.now() + ANSWERED_WITHIN;
        while self.own_notes() == before {
            if self.now() > until {
                return Err("a human who rests is not answered any more".into());
            }
            self.wait(us(100_000))?;
        }
        Ok(())
    }

    fn own_notes(&self) -> u64 {
        self.status.notes()[1]
    }

    /// Ends the session, and looks whether anything still sounds.
    fn leave(mut self, exit: Exit) -> Result<Counts, String> {
        self.stalled = [SessionTime::ZERO; 2];
        let mut counts = self.counts;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        counts.notes = self.own_notes();
        counts.dropped_on_the_way_in = count(&self.status.input_dropped);
        counts.keys_missed_by_the_player = count(&self.status.player_missed);
        counts.plan_dropped = count(&self.status.plan_dropped);
        counts.refused_by_ports = count(&self.status.send_failed);
        counts.never_heard_by_the_model = count(&self.status.unheard);
        counts.virtual_seconds = self.now().as_micros() / 1_000_000;
        let mut stand = self.stand.take().expect("it plays");
        let mut player = self.player.take().expect("it plays");
        let now = self.now();
        match exit {
            Exit::InOrder => {
                if self.to_conductor.is_full() {
                    let _ = step(&mut stand, now);
                }
                self.to_conductor.try_send(Cue::Stop).map_err(|_| "no place for the end")?;
                while let Ok(cue) = stand.heard.try_recv() {
                    if !stand.take(cue).map_err(|why| why.to_string())? {
                        break;
                    }
                }
            }
            Exit::AtOnce => {}
            Exit::ModelFails | Exit::ConductorPanics => {
                self.moody.set(if exit == Exit::ModelFails { Mood::Fails } else { Mood::Panics });
                self.input.push(now, &[0x90, 60, 70]);
                let status = Arc::clone(&self.status);
                // It panics with the stand in its hands, as its thread would.
                let run = move || while step(&mut stand, now).is_ok_and(|moved| moved) {};
                let panicked = catch_unwind(AssertUnwindSafe(run)).is_err();
                if panicked && !status.failed.load(Relaxed) {
                    return Err("the conductor panicked and nobody knows".into());
                }
            }
            Exit::PlayerPanics => {
                self.ports[0].synth.state().panics = true;
                let synth = self.ports[0].synth.clone();
                let link = player.link();
                let run = AssertUnwindSafe(move || {
                    let mut link = link;
                    link.send(crate::player::PlayerCommand::Panic);
                    player.run();
                });
                if catch_unwind(run).is_ok() || !self.status.failed.load(Relaxed) || synth.state().panics {
                    return Err("the player panicked and nobody knows".into());
                }
                return self.all_ended("after the player panicked").map(|()| counts);
            }
        }
        player.end();
        self.all_ended(&format!("after the end ({exit:?})")).map(|()| counts)
    }

    /// Nothing sounds, neither at the ports nor by the record.
    fn all_ended(&mut self, when: &str) -> Result<(), String> {
        self.look()?;
        if let Some(channel) = self.recorded_keys.iter().position(|keys| *keys != 0) {
            return Err(format!("{when} keys of channel {channel} still sound by the record"));
        }
        self.all_silent(when)
    }
}

/// What the conductor's thread does next; false when there is nothing to do now.
fn step(stand: &mut Stand<Wild>, now: SessionTime) -> Result<bool, crate::model::ModelError> {
    if let Ok(cue) = stand.heard.try_recv() {
        return stand.take(cue);
    }
    stand.mend()?;
    if stand.next_wake(now).is_some_and(|wake| wake <= now) {
        stand.on_time()?;
        return Ok(true);
    }
    Ok(false)
}

fn place(port: u32) -> usize {
    usize::try_from(port).expect("small")
}

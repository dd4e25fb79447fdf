//! A session without threads: the conductor's part, the player's part and the ports, moved under virtual time.

mod events;
mod exits;
mod invariants;
mod time;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::script::{CABLES, SOURCES, Script};
use super::synth::Synth;
use super::wild::{Moody, Wild};
use crate::control::{Assignment, ControlMap};
use crate::ensemble::{Ensemble, Opening};
use crate::figures::Progress;
use crate::midi::ShortMessage;
use crate::playback::Deck;
use crate::ports::by_hand::{PlayerByHand, SourceByHand};
use crate::ports::{Cue, InputSink, Offset, Routing, Silence, Wiring};
use crate::session::desk::Desk;
use crate::session::stand::Stand;
use crate::session::{INPUT_QUEUE, RECORD_QUEUE};
use crate::settings::Settings;
use crate::shelf::Shelf;
use crate::status::Status;
use crate::take::Happening;
use crate::time::{Clock, SessionDuration, SessionTime};

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

    fn own_notes(&self) -> u64 {
        self.status.notes()[1]
    }
}

fn place(port: u32) -> usize {
    usize::try_from(port).expect("small")
}

//! What happens in a session, drawn from a seed before it begins: so it can be cut short and thinned out.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::settings::{SETTINGS, Values};

/// Ports that listen.
pub(super) const SOURCES: usize = 2;

/// Named ports that are sent to, besides our own.
pub(super) const CABLES: u32 = 3;

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// Nothing, for so many microseconds.
    Wait(u64),
    /// A source sends this.
    Midi(usize, [u8; 3]),
    /// A source sends so many note-ons and note-offs at once, with nobody to take them; and then how many keys it still
    /// holds is up to the seed.
    Flood { source: usize, count: u16, seed: u64, player_too: bool },
    /// Somebody asks for this.
    Ask(String),
    /// The signal USR2.
    Panic,
    /// A model is loaded.
    Offer(u64),
    /// A named port goes.
    Unplug(u32),
    /// It comes, or comes back.
    Plug(u32),
    /// It is wanted no longer.
    Remove(u32),
    /// A port refuses so many messages; 0 is our own port.
    Refuse(u32, u32),
    /// A source goes, and comes back.
    SourceGone(usize),
    /// What leaves by our own port comes back so many microseconds later; 0: no more.
    Loop(u64),
    /// The conductor, the player or both get no time for so many microseconds.
    Stall([bool; 2], u64),
    /// A MIDI clock with so many microseconds a clock; 0: it stops.
    Clock(u64),
    /// The human lets go, all is well again, and what is owed must have been paid; then one note must be answered.
    Calm,
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    InOrder,
    AtOnce,
    ModelFails,
    ConductorPanics,
    PlayerPanics,
}

/// A whole session.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub seed: u64,
    /// Whether thru may be turned on. Where it is not, each key is Antiphon's own, and is watched more strictly.
    pub thru: bool,
    /// Milliseconds by which each port is later than the music; our own is the first.
    pub offsets: [i32; 1 + CABLES as usize],
    pub events: Vec<Event>,
    pub exit: Exit,
}

impl Script {
    /// A session of about `length` events.
    pub(super) fn drawn(seed: u64, length: usize) -> Self {
        let mut draw = Draw { random: ChaCha8Rng::seed_from_u64(seed), held: Vec::new() };
        let thru = draw.below(2) == 0;
        let offsets = [(); 1 + CABLES as usize].map(|()| if draw.below(3) == 0 { draw.between(-60, 120) } else { 0 });
        let mut script = Self { seed, thru, offsets, events: Vec::new(), exit: Exit::InOrder };
        let mut counted = 0;
        while counted < length {
            let event = draw.event(thru);
            counted += event.weight();
            script.events.push(event);
        }
        script.exit = draw.one_of(&[
            Exit::InOrder,
            Exit::InOrder,
            Exit::AtOnce,
            Exit::ModelFails,
            Exit::ConductorPanics,
            Exit::PlayerPanics,
        ]);
        script
    }
}

impl Event {
    /// How many events it counts for.
    pub(super) fn weight(&self) -> usize {
        if let Self::Flood { count, .. } = self { usize::from(*count) } else { 1 }
    }
}

/// Draws events.
struct Draw {
    random: ChaCha8Rng,
    /// Keys that go down and have not gone up: source, channel, key.
    held: Vec<(usize, u8, u8)>,
}

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn small(&mut self, limit: u8) -> u8 {
        u8::try_from(self.below(limit.into())).expect("below a u8")
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).expect("below a usize")
    }

    fn between(&mut self, low: i32, high: i32) -> i32 {
        low + i32::try_from(self.below(u64::from(high.abs_diff(low)) + 1)).expect("small")
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.place(choices.len())].clone()
    }

    fn event(&mut self, thru: bool) -> Event {
        match self.below(1_000) {
            0..260 => self.wait(),
            260..480 => self.note_on(),
            480..500 => self.doubled_note_on(),
            500..720 => self.note_off(),
            720..740 => self.stray_note_off(),
            740..790 => self.pedal(),
            790..820 => self.other(),
            820..832 => self.all_notes_off(),
            832..862 => Event::Ask(self.setting(thru)),
            862..874 => Event::Ask(format!("mode {}", self.one_of(&["respond", "accompany", "solo", "listen"]))),
            874..884 => Event::Ask(format!("barge-in {}", self.one_of(&["on", "off", "duck"]))),
            884..902 => Event::Ask(self.one_of(&["hand-over", "hand-over", "take-back", "panic"]).into()),
            902..905 => Event::Panic,
            905..911 => Event::Offer(self.below(u64::MAX)),
            911..917 => Event::Unplug(self.cable()),
            917..925 => Event::Plug(self.cable()),
            925..927 => Event::Remove(self.cable()),
            927..935 => {
                let refusals = self.one_of(&[1, 1, 2, 5, 40]);
                Event::Refuse(self.one_of(&[0, 1, 2, 3]), refusals)
            }
            935..939 => self.source_gone(),
            939..943 => Event::Loop(self.one_of(&[0, 1_000, 5_000, 30_000, 100_000, 200_000])),
            943..951 => {
                let who = self.one_of(&[[true, false], [false, true], [true, true]]);
                Event::Stall(who, 1 + self.below(2_000_000))
            }
            951..955 => {
                // None, or 60, 120 and 300 bpm.
                Event::Clock(self.one_of(&[0, 41_667, 20_833, 8_333]))
            }
            955..956 if self.below(8) == 0 => self.flood(),
            956..959 => Event::Calm,
            _ => Event::Ask(self.one_of(&["thru off", "feedback suppress", "players merged", "players apart"]).into()),
        }
    }

    fn wait(&mut self) -> Event {
        Event::Wait(match self.below(100) {
            0..40 => self.below(30_000),
            40..80 => 30_000 + self.below(400_000),
            80..98 => 400_000 + self.below(2_500_000),
            _ => self.below(25_000_000),
        })
    }

    /// Mostly one channel, now and then another, seldom the drums.
    fn channel(&mut self) -> u8 {
        match self.below(20) {
            0..14 => 0,
            14..17 => 1,
            17 => 9,
            _ => self.small(16),
        }
    }

    fn key(&mut self) -> u8 {
        match self.below(10) {
            0..7 => self.one_of(&[48, 55, 60, 61, 62, 64, 67, 72]),
            _ => self.small(128),
        }
    }

    fn cable(&mut self) -> u32 {
        1 + u32::from(self.small(u8::try_from(CABLES).expect("few")))
    }

    fn note_on(&mut self) -> Event {
        let (source, channel, key) = (self.place(SOURCES), self.channel(), self.key());
        self.held.push((source, channel, key));
        Event::Midi(source, [0x90 | channel, key, 1 + self.small(127)])
    }

    fn doubled_note_on(&mut self) -> Event {
        if self.held.is_empty() {
            return self.note_on();
        }
        let place = self.place(self.held.len());
        let (source, channel, key) = self.held[place];
        Event::Midi(source, [0x90 | channel, key, 1 + self.small(127)])
    }

    fn note_off(&mut self) -> Event {
        if self.held.is_empty() {
            return self.wait();
        }
        let place = self.place(self.held.len());
        let (source, channel, key) = self.held.swap_remove(place);
        // As a note-on of velocity 0, or with a release velocity.
        let bytes = if self.below(3) == 0 { [0x90 | channel, key, 0] } else { [0x80 | channel, key, self.small(128)] };
        Event::Midi(source, bytes)
    }

    fn stray_note_off(&mut self) -> Event {
        Event::Midi(self.place(SOURCES), [0x80 | self.channel(), self.key(), 64])
    }

    fn pedal(&mut self) -> Event {
        let (source, channel, pedal) = (self.place(SOURCES), self.channel(), self.one_of(&[64, 64, 64, 66]));
        Event::Midi(source, [0xb0 | channel, pedal, self.one_of(&[0, 0, 63, 64, 127])])
    }

    fn other(&mut self) -> Event {
        let status = self.one_of(&[0xa0, 0xb0, 0xc0, 0xd0, 0xe0]) | self.channel();
        Event::Midi(self.place(SOURCES), [status, self.small(120), self.small(128)])
    }

    fn all_notes_off(&mut self) -> Event {
        let (source, channel) = (self.place(SOURCES), self.channel());
        self.held.retain(|held| (held.0, held.1) != (source, channel) || source == 0);
        Event::Midi(source, [0xb0 | channel, self.one_of(&[120, 123, 123, 124, 127]), 0])
    }

    fn source_gone(&mut self) -> Event {
        let source = self.place(SOURCES);
        self.held.retain(|held| held.0 != source);
        Event::SourceGone(source)
    }

    fn flood(&mut self) -> Event {
        Event::Flood {
            source: self.place(SOURCES),
            count: u16::try_from(2_000 + self.below(6_000)).expect("small"),
            seed: self.below(u64::MAX),
            player_too: self.below(2) == 0,
        }
    }

    /// Any setting, to any value.
    fn setting(&mut self, thru: bool) -> String {
        loop {
            let setting = &SETTINGS[self.place(SETTINGS.len())];
            if setting.name == "thru" && !thru {
                continue;
            }
            let share = f64::from(self.between(0, 1_000)) / 1_000.0;
            let value = match setting.values {
                Values::Number { low, high, .. } => format!("{}", f64::from(low) + share * f64::from(high - low)),
                Values::Whole { low, high, .. } => {
                    format!("{}", u64::from(low) + self.below(u64::from(high - low) + 1))
                }
                Values::Choice(names) => self.one_of(names).to_owned(),
            };
            return format!("{} {value}", setting.name);
        }
    }
}

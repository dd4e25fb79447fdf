//! What happens in the room: each event of a script, and what must be so when it has happened.

use std::sync::atomic::Ordering::Relaxed;

use super::{Port, Room, place, us};
use crate::control::Control;
use crate::midi::{MidiEvent, ShortMessage};
use crate::ports::Cue;
use crate::session::debts::script::Event;
use crate::session::debts::wild::{Wild, mixed};
use crate::settings::{BargeIn, Mode, Players, SETTINGS, Settings};
use crate::time::{SessionDuration, SessionTime};

/// After this all that is due at once has been done, refusals of ports included.
const SOON: SessionDuration = SessionDuration::from_millis(300);

/// Time in which everything that was planned and held has come to its end: the longest note.
const LONG: SessionDuration = SessionDuration::from_millis(25_000);

/// Within this a human who rests is answered, with the settings as they are at the beginning.
const ANSWERED_WITHIN: SessionDuration = SessionDuration::from_millis(20_000);

impl Room {
    /// This happens, with all that follows from it at once.
    pub fn happen(&mut self, event: &Event) -> Result<(), String> {
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

    /// A named port comes, or comes back.
    pub fn plug(&mut self, cable: u32) {
        let port = &mut self.ports[place(cable)];
        port.plugged = true;
        let (synth, offset) = (Box::new(port.synth.back()), port.offset);
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
            && settings.players == Players::Merged
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

    /// The human lets go of everything.
    fn let_go(&mut self) {
        for (source, channel, key) in std::mem::take(&mut self.held) {
            let bytes = if key < 128 { [0x80 | channel, key, 64] } else { [0xb0 | channel, key - 128 + 64, 0] };
            self.sources[source].hear(&bytes);
        }
    }

    /// Everything is as it was at the beginning, and one note must be answered.
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
        self.no_key_is_believed_in()?;
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
}

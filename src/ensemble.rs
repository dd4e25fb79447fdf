//! The ensemble: all players of a session, each with a conductor of their own, around one model.
//!
//! Everything that can influence what is planned comes in through five doors: [`Ensemble::hear`],
//! [`Ensemble::control`], [`Ensemble::offer_model`], [`Ensemble::wake`], and what it was built with. The same calls
//! give the same music, so a session that is written down as its calls can be played again.

use crate::beat::Follower;
use crate::conductor::{Action, Conductor, LEAD, Stage};
use crate::continuation::Continuation;
use crate::control::Control;
use crate::midi::{MidiEvent, ShortMessage, SyncMessage, TimedMessage};
use crate::model::{ModelError, NoteModel};
use crate::player::{Manners, PlayerCommand, Yielding};
use crate::sampler::Sampler;
use crate::settings::{BargeIn, Mode, Players, Settings};
use crate::time::{SessionDuration, SessionTime};
use crate::transcript::{Call, Entry, PlanDigest, Transcript};

/// What an ensemble is built with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opening {
    /// Settings at the beginning.
    pub settings: Settings,
    /// Where it answers when all players are merged, in `0..16`.
    pub channel: u8,
    /// Seed of all random choices.
    pub seed: u64,
}

/// The players of a session.
pub struct Ensemble<M> {
    model: M,
    /// Takes over at the next phrase.
    offered: Option<M>,
    opening: Opening,
    settings: Settings,
    lead: SessionDuration,
    /// When the last key was struck, by the channel on which it came.
    struck: [Option<SessionTime>; 16],
    /// One for each channel that is answered on.
    conductors: [Option<Box<Conductor>>; 16],
    /// The channel whose conductor was woken last.
    woken: u8,
    /// What the player was told last.
    manners: Option<Manners>,
    /// The MIDI clock that comes in, if one does.
    beat: Follower,
    transcript: Transcript,
}

impl<M: NoteModel> Ensemble<M> {
    /// An ensemble at the session's beginning.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn new(model: M, opening: Opening) -> Result<Self, ModelError> {
        let mut ensemble = Self {
            model,
            offered: None,
            opening,
            settings: opening.settings,
            lead: LEAD,
            struck: [None; 16],
            conductors: std::array::from_fn(|_| None),
            woken: 0,
            manners: None,
            beat: Follower::new(opening.settings.beats_per_bar),
            transcript: Transcript::default(),
        };
        // A style that another model had.
        if usize::from(opening.settings.style) >= ensemble.model.styles().len() {
            ensemble.settings.style = 0;
        }
        ensemble.seat(opening.channel)?;
        Ok(ensemble)
    }

    /// Plans each note at least `lead` ahead, as its way to the port demands.
    pub fn leading_by(mut self, lead: SessionDuration) -> Self {
        self.lead = lead;
        self
    }

    /// The same from now on, while it plays.
    pub fn lead_by(&mut self, lead: SessionDuration) {
        self.lead = lead;
        self.transcript.write(Call::Lead(lead), self.transcript.digest());
    }

    /// Tells `sink` every call from now on, each after it was done.
    pub fn transcribed(mut self, sink: impl FnMut(Entry) + Send + 'static) -> Self {
        self.transcript.write_to(Box::new(sink));
        self
    }

    /// Digest of all that the player has been told.
    pub fn plan_digest(&self) -> PlanDigest {
        self.transcript.digest()
    }

    /// The model that plays.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Ends the transcript.
    pub fn end(&mut self, at: SessionTime) {
        self.transcript.write(Call::End(at), self.transcript.digest());
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes in a human message. A note-on may take the turn back at once.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn hear(&mut self, at: SessionTime, message: ShortMessage, act: impl FnMut(Action)) -> Result<(), ModelError> {
        self.perform(Call::Hear(TimedMessage { time: at, message }), act)
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// [`ModelError::Style`] when the model knows no such style; nothing has changed then.
    pub fn control(&mut self, at: SessionTime, control: Control, act: impl FnMut(Action)) -> Result<(), ModelError> {
        self.perform(Call::Control { at, control }, act)
    }

    /// A model that takes over at the next phrase.
    pub fn offer_model(&mut self, model: M) {
        let origin = Box::new(model.origin().clone());
        self.transcript.write(Call::Offer(origin), self.transcript.digest());
        self.offered = Some(model);
    }

    /// Tells what would let go of each key and pedal that the human is believed to hold.
    pub fn held(&self, mut tell: impl FnMut(ShortMessage)) {
        self.conductors.iter().flatten().for_each(|conductor| conductor.held(&mut tell));
    }

    /// Whether the model has taken in all that was heard.
    pub fn is_settled(&self) -> bool {
        self.conductors.iter().flatten().all(|conductor| conductor.is_settled())
    }

    /// Notes of floods that the model never took in.
    pub fn unheard(&self) -> u64 {
        self.conductors.iter().flatten().map(|conductor| conductor.unheard()).sum()
    }

    /// Whether a continuation is ready for the case that the human stops now.
    pub fn is_ready(&self) -> bool {
        self.conductors.iter().flatten().all(|conductor| conductor.is_ready())
    }

    /// Does what is to be done at `now`: one step of the model at most.
    ///
    /// # Errors
    /// When the model's engine fails.
    pub fn wake(&mut self, now: SessionTime, act: impl FnMut(Action)) -> Result<(), ModelError> {
        self.perform(Call::Wake(now), act)
    }

    /// Does what a call says, and writes it down. An offered model must come through [`Ensemble::offer_model`].
    ///
    /// # Errors
    /// When the model's engine fails, or the model knows no such style.
    pub fn perform(&mut self, call: Call, mut act: impl FnMut(Action)) -> Result<(), ModelError> {
        let mut digest = self.transcript.digest();
        let mut act = |action| {
            digest.add(action);
            act(action);
        };
        let done = match &call {
            Call::Hear(timed) => self.take_in(timed.time, timed.message, &mut act),
            Call::Control { at, control } => self.obey(*at, control, &mut act),
            Call::Wake(now) => self.step(*now, &mut act),
            Call::Lead(lead) => {
                self.lead = *lead;
                Ok(())
            }
            Call::Offer(_) | Call::End(_) => Ok(()),
        };
        self.transcript.write(call, digest);
        done
    }

    /// When [`Ensemble::wake`] must be called next, if nothing comes in before; `None`: only when something comes in.
    pub fn next_wake(&self, now: SessionTime) -> Option<SessionTime> {
        if self.manners.is_none() || self.can_change_model(now) {
            return Some(now);
        }
        self.conductors.iter().flatten().filter_map(|conductor| conductor.next_wake(&self.settings, now)).min()
    }

    fn take_in(
        &mut self,
        at: SessionTime,
        message: ShortMessage,
        mut act: impl FnMut(Action),
    ) -> Result<(), ModelError> {
        if let MidiEvent::Sync(sync) = message.event() {
            self.beat.hear(at, sync);
            // A song that starts has its beats with its first clock.
            if matches!(sync, SyncMessage::Clock | SyncMessage::Stop) {
                self.each(at, |conductor, stage| conductor.follow_clock(stage, at, &mut act));
            }
            return Ok(());
        }
        let channel = match (self.settings.players, message.channel()) {
            (Players::Apart, Some(channel)) => channel,
            _ => self.opening.channel,
        };
        if message.takes_the_turn() {
            self.seat(channel)?;
            let struck = &mut self.struck[usize::from(message.channel().unwrap_or(channel))];
            *struck = (*struck).max(Some(at));
        }
        self.with(channel, at, |conductor, stage| conductor.hear(stage, at, message, &mut act));
        Ok(())
    }

    fn obey(&mut self, at: SessionTime, control: &Control, mut act: impl FnMut(Action)) -> Result<(), ModelError> {
        match control {
            Control::Style(name) => {
                let mut changed = self.settings;
                changed.style = self.style_number(name).ok_or_else(|| self.no_style(name))?;
                self.set(at, changed, act);
            }
            Control::Set(change) => {
                let mut changed = self.settings;
                change.apply(&mut changed);
                if usize::from(changed.style) >= self.model.styles().len() {
                    return Err(self.no_style(&changed.style.to_string()));
                }
                self.set(at, changed, act);
            }
            Control::HandOver => self.each(at, |conductor, stage| conductor.hand_over(stage, at, &mut act)),
            Control::TakeBack => self.each(at, |conductor, _| conductor.take_back(at, &mut act)),
            Control::Panic => {
                self.each(at, |conductor, _| conductor.take_back(at, &mut act));
                act(Action::Tell(PlayerCommand::Panic));
            }
            // Loading takes time: whoever has loaded it offers it. The recorder splits the take.
            Control::Model(_) | Control::ModelNamed(_) | Control::SplitTake => {}
            // Goes past everybody to the player.
            Control::PlayTake(_) | Control::StopTake => {}
            // What controllers mean changes nothing by itself.
            Control::Learn(_) | Control::StopLearning | Control::Forget(_) => {}
        }
        Ok(())
    }

    fn step(&mut self, now: SessionTime, mut act: impl FnMut(Action)) -> Result<(), ModelError> {
        if self.manners.is_none() {
            self.tell_manners(&mut act);
        }
        if self.can_change_model(now)
            && let Some(model) = self.offered.take()
        {
            self.change_model(model);
            act(Action::Model { at: now, style: self.settings.style });
            for channel in 0..16 {
                let changed = self.with(channel, now, |conductor, stage| conductor.change_model(stage, &mut act));
                changed.unwrap_or(Ok(()))?;
            }
            return Ok(());
        }
        // The next in turn, so that none waits for ever.
        let in_turn = (1..=16).map(|step| (self.woken + step) % 16);
        let due = |channel: &u8| {
            let conductor = self.conductors[usize::from(*channel)].as_ref();
            conductor.and_then(|conductor| conductor.next_wake(&self.settings, now)).is_some_and(|wake| wake <= now)
        };
        let Some(channel) = in_turn.into_iter().find(due) else { return Ok(()) };
        self.woken = channel;
        self.with(channel, now, |conductor, stage| conductor.wake(stage, now, &mut act)).unwrap_or(Ok(()))
    }

    fn set(&mut self, at: SessionTime, settings: Settings, mut act: impl FnMut(Action)) {
        let before = std::mem::replace(&mut self.settings, settings);
        self.beat.set_beats_per_bar(settings.beats_per_bar);
        self.tell_manners(&mut act);
        if settings.players != before.players {
            self.each(at, |conductor, _| conductor.begin_anew(at, &mut act));
        }
        if settings.mode != before.mode {
            self.each(at, |conductor, _| conductor.mode_changed());
        }
        self.each(at, |conductor, stage| conductor.settings_changed(stage, at, &mut act));
    }

    /// Keeps the style, by its name, where the new model has it; else any.
    fn change_model(&mut self, model: M) {
        let before = std::mem::replace(&mut self.model, model);
        let style = before.styles().get(usize::from(self.settings.style));
        self.settings.style = style.and_then(|name| self.style_number(name)).unwrap_or(0);
    }

    fn style_number(&self, name: &str) -> Option<u8> {
        self.model.styles().iter().position(|style| style == name).and_then(|number| u8::try_from(number).ok())
    }

    fn no_style(&self, wanted: &str) -> ModelError {
        ModelError::Style { wanted: wanted.to_owned(), known: self.model.styles().to_vec() }
    }

    fn can_change_model(&self, now: SessionTime) -> bool {
        self.offered.is_some() && self.conductors.iter().flatten().all(|conductor| conductor.is_between_phrases(now))
    }

    /// Makes sure that there is a conductor who answers on `channel`.
    fn seat(&mut self, channel: u8) -> Result<(), ModelError> {
        let seat = &mut self.conductors[usize::from(channel & 15)];
        if seat.is_none() {
            let seed = self.opening.seed.wrapping_add(u64::from(channel ^ self.opening.channel));
            let sampler = Sampler::new(self.settings.sampling, seed);
            let continuation = Continuation::new(&mut self.model, usize::from(self.settings.style), sampler)?;
            *seat = Some(Box::new(Conductor::new(channel, continuation)));
        }
        Ok(())
    }

    /// Tells the player how to get along with the human, if that has changed.
    fn tell_manners(&mut self, act: &mut impl FnMut(Action)) {
        let yielding = match (self.settings.mode, self.settings.barge_in) {
            (Mode::Accompany, _) => Yielding::Key,
            (_, BargeIn::On) => Yielding::All,
            (_, BargeIn::Off) => Yielding::Waiting,
            (_, BargeIn::Duck) => Yielding::Softly,
        };
        let manners = Manners { yielding, apart: self.settings.players == Players::Apart, gate: self.settings.gate };
        if self.manners != Some(manners) {
            self.manners = Some(manners);
            act(Action::Tell(PlayerCommand::Manners(manners)));
        }
    }

    fn with<R>(
        &mut self,
        channel: u8,
        now: SessionTime,
        run: impl FnOnce(&mut Conductor, &mut Stage<'_, M>) -> R,
    ) -> Option<R> {
        let conductor = self.conductors[usize::from(channel & 15)].as_mut()?;
        let struck = match self.settings.players {
            Players::Apart => self.struck[usize::from(channel & 15)],
            Players::Merged => self.struck.iter().copied().max().flatten(),
        };
        let grid = self.beat.grid(now);
        let mut stage = Stage { model: &mut self.model, settings: &self.settings, grid, lead: self.lead, struck };
        Some(run(conductor, &mut stage))
    }

    fn each(&mut self, now: SessionTime, mut run: impl FnMut(&mut Conductor, &mut Stage<'_, M>)) {
        for channel in 0..16 {
            self.with(channel, now, &mut run);
        }
    }
}

//! All MIDI messages that mean something, and the learning of new ones.

use std::sync::Arc;

use super::assignment::Address;
use super::{Assignment, Claims, Control, ControlError, Lesson};
use crate::midi::ShortMessage;
use crate::settings::Settings;

/// What controllers do, for whoever watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controllers {
    /// What a message is waited for.
    pub learning: Option<Lesson>,
    /// What has just been changed.
    pub change: Option<MapChange>,
    /// Each message and its meaning, as they are written.
    pub map: Vec<(String, String)>,
}

/// A change of the map, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapChange {
    /// This message has this meaning from now on.
    Learnt {
        /// As it is written, with its channel.
        message: String,
        /// As it is written.
        meaning: String,
    },
    /// These messages are music again.
    Forgotten(Vec<String>),
    /// It is otherwise, and nothing of that is to be kept: it has been written down anew, or a ready-made map has come.
    Replaced,
}

/// Which MIDI messages are not music but control, in layers: the first layer that knows a message decides, and all that
/// it says of it is done.
///
/// Thread: the conductor's. Whoever hears messages asks the [`Claims`] that it keeps.
pub struct ControlMap {
    /// What was learnt while it played comes first.
    layers: Vec<Vec<Assignment>>,
    learning: Option<Lesson>,
    claims: Arc<Claims>,
}

impl ControlMap {
    /// A map of these layers, the first one before all others.
    pub fn new(layers: Vec<Vec<Assignment>>) -> Self {
        let learnt = std::iter::once(Vec::new());
        let map = Self { layers: learnt.chain(layers).collect(), learning: None, claims: Arc::default() };
        map.publish();
        map
    }

    /// Takes other layers for all there are; what was learnt must be among them to stay. A message that is waited for is
    /// waited for still.
    pub fn replace(&mut self, layers: Vec<Vec<Assignment>>) -> Controllers {
        self.layers = std::iter::once(Vec::new()).chain(layers).collect();
        self.publish();
        self.controllers(Some(MapChange::Replaced))
    }

    /// Puts one more layer behind all others.
    pub fn put_behind(&mut self, layer: Vec<Assignment>) -> Controllers {
        self.layers.push(layer);
        self.publish();
        self.controllers(Some(MapChange::Replaced))
    }

    /// What is claimed, for those who hear messages.
    pub fn claims(&self) -> Arc<Claims> {
        Arc::clone(&self.claims)
    }

    /// What a claimed message asks for; nothing when it is a release. `settings` are what is set now.
    pub fn ask(&mut self, message: ShortMessage, settings: &Settings) -> Vec<Control> {
        let layer = self.layers.iter_mut().find(|layer| layer.iter().any(|assignment| assignment.claims(message)));
        let own = layer.into_iter().flatten().filter(|assignment| assignment.claims(message));
        own.filter_map(|assignment| assignment.control(message, settings)).collect()
    }

    /// Takes a message that was waited for: it has the meaning from now on. `None` when it was not waited for.
    pub fn hear(&mut self, message: ShortMessage) -> Option<Controllers> {
        let address = Address::of(message)?;
        let Lesson { meaning, .. } = self.learning.take_if(|lesson| lesson.gesture.is(message))?;
        // A key or program has no places between two ends: it asks, and moves by its velocity where a range is named.
        let Ok(assignment) = Assignment::parse(&format!("{address}={meaning}")) else {
            // It was claimed when it was heard.
            self.publish();
            return Some(self.controllers(None));
        };
        let (message, meaning) = (assignment.message(), meaning.to_string());
        self.layers[0].retain(|other| other.address != address);
        self.layers[0].push(assignment);
        self.publish();
        Some(self.controllers(Some(MapChange::Learnt { message, meaning })))
    }

    /// Does what a control says about controllers; `None` when it is about something else.
    pub fn obey(&mut self, control: &Control) -> Option<Result<Controllers, ControlError>> {
        let done = match control {
            Control::Learn(lesson) => {
                self.learning = Some(lesson.clone());
                self.claims.wait_for(Some(lesson.gesture));
                Ok(None)
            }
            Control::StopLearning => {
                self.learning = None;
                self.publish();
                Ok(None)
            }
            Control::Forget(what) => self.forget(what).map(Some),
            _ => return None,
        };
        Some(done.map(|change| self.controllers(change)))
    }

    fn forget(&mut self, what: &str) -> Result<MapChange, ControlError> {
        let address = Address::parse(what).ok();
        let meant = |assignment: &Assignment| {
            assignment.is_for(what) || address.is_some_and(|address| address.covers(assignment.address))
        };
        let mut forgotten: Vec<String> = Vec::new();
        for layer in &mut self.layers {
            forgotten.extend(layer.iter().filter(|assignment| meant(assignment)).map(Assignment::message));
            layer.retain(|assignment| !meant(assignment));
        }
        forgotten.sort_unstable();
        forgotten.dedup();
        if forgotten.is_empty() {
            return Err(ControlError::NotMapped(what.to_owned()));
        }
        self.publish();
        Ok(MapChange::Forgotten(forgotten))
    }

    /// How things stand.
    pub fn controllers(&self, change: Option<MapChange>) -> Controllers {
        let mut map: Vec<(String, String)> = Vec::new();
        for (place, layer) in self.layers.iter().enumerate() {
            // What a layer before says of a message hides what this one says.
            let hidden = |assignment: &&Assignment| {
                let before = self.layers[..place].iter().flatten();
                !before.into_iter().any(|other| other.address.covers(assignment.address))
            };
            let shown = layer.iter().filter(hidden).filter(|assignment| !assignment.is_music());
            map.extend(shown.map(|assignment| (assignment.message(), assignment.meaning().to_owned())));
        }
        Controllers { learning: self.learning.clone(), change, map }
    }

    fn publish(&self) {
        self.claims.wait_for(self.learning.as_ref().map(|lesson| lesson.gesture));
        let any = |message: ShortMessage, is_meant: fn(&Assignment) -> bool| {
            let mut layers = self.layers.iter();
            let own = |layer: &&Vec<Assignment>| layer.iter().any(|assignment| assignment.claims(message));
            let layer = layers.find(own);
            layer.is_some_and(|layer| layer.iter().any(|one| one.claims(message) && is_meant(one)))
        };
        self.claims.publish(|message| any(message, |one| !one.is_music()), |message| any(message, Assignment::panics));
    }
}

//! How things stand: what somebody who begins to watch must know before the next sight.

use std::sync::Arc;

use super::Sight;
use crate::conductor::Turn;
use crate::control::{Control, Controllers};
use crate::playback::Playing;
use crate::ports::Ports;
use crate::settings::Settings;

/// How things stand.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Whose turn it is.
    pub turn: Turn,
    /// What is set.
    pub settings: Settings,
    /// Name of the model that plays.
    pub model: String,
    /// The styles that it knows; style 0 is any.
    pub styles: Vec<String>,
    /// What MIDI messages mean.
    pub controllers: Controllers,
    /// The ports that are wanted, and those that there are.
    pub ports: Arc<Ports>,
    /// The take that is played back.
    pub playing: Option<Playing>,
}

impl View {
    /// A session that has just begun, for tests.
    #[cfg(any(test, feature = "doors"))]
    pub(crate) fn sample() -> Self {
        Self {
            turn: Turn::Human,
            settings: Settings::default(),
            model: "bundled".into(),
            styles: vec!["any".into(), "folk".into()],
            controllers: Controllers::default(),
            ports: Arc::default(),
            playing: None,
        }
    }

    /// How things stand after `sight`.
    pub fn take_in(&mut self, sight: &Sight) {
        match sight {
            Sight::Turn { turn, .. } => self.turn = *turn,
            Sight::Control { control: Control::Set(change), .. } => change.apply(&mut self.settings),
            Sight::Control { control: Control::Style(name), .. } => {
                let number = self.styles.iter().position(|style| **style == **name);
                self.settings.style = number.and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
            }
            Sight::Model { name, styles, style, .. } => {
                self.model.clone_from(name);
                self.styles.clone_from(styles);
                self.settings.style = *style;
            }
            Sight::Controllers(controllers) => {
                self.controllers = Controllers { change: None, ..controllers.clone() };
            }
            Sight::Playback { playing, .. } => self.playing.clone_from(playing),
            Sight::Ports { ports, .. } => self.ports = Arc::clone(ports),
            _ => {}
        }
    }
}

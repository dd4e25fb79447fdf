//! SIGHUP: the configuration is read anew while it plays, and what can change changes.
//!
//! What is told apart is what the configuration said before and what it says now. So a setting that was turned by hand
//! stays where it is, unless the file says something else of it than it did.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::opening::Models;
use crate::commands::Failure;
use crate::commands::configured::Arguments;
use crate::commands::jam_flags::JamFlags;
use crate::commands::rack::Rack;
use crate::config::{Config, Effective, Given, Sourced};
use crate::control::{Assignment, Control, ControlMap, MapChange};
use crate::ports::{Destination, Direction};
use crate::session::{Controller, LiveSession};
use crate::sight::Sight;

/// Keys of the file that can change while it plays. All others need a restart.
const LIVE: [&str; 5] = ["connect-from", "connect-to", "controller", "model", "more-model"];

/// What has been read so far, to tell what changes.
pub(super) struct Reloading<'a> {
    arguments: &'a Arguments,
    models: Models,
    /// What the session was started with: what needs a restart is held against it.
    started: Vec<Sourced<Given>>,
    effective: Effective,
    from: Vec<String>,
    to: Vec<Destination>,
    /// How the model that plays was asked for, and the one that was asked for last.
    playing: Control,
    asked: Control,
    /// The style that the model shall have which is being loaded.
    style: Option<Control>,
    /// What was learnt and stands in no file.
    unkept: Vec<Assignment>,
    /// The ready-made maps.
    pub rack: Rack,
}

impl<'a> Reloading<'a> {
    pub(super) fn new(
        arguments: &'a Arguments,
        flags: &JamFlags,
        config: &Config,
        effective: Effective,
        models: Models,
        rack: Rack,
    ) -> Self {
        Self {
            arguments,
            models,
            started: config.keys.clone(),
            effective,
            from: flags.connect_from.clone(),
            to: flags.connect_to.clone(),
            playing: Control::Model(1),
            asked: Control::Model(1),
            style: None,
            unkept: Vec::new(),
            rack,
        }
    }

    /// Follows which model plays.
    pub(super) fn sees(&mut self, sight: &Sight, controller: &Controller) {
        match sight {
            Sight::Control { control: asked @ (Control::Model(_) | Control::ModelNamed(_)), .. } => {
                self.asked = asked.clone();
            }
            Sight::Model { .. } => {
                self.playing = self.asked.clone();
                self.style.take().into_iter().for_each(|style| controller.ask(style));
            }
            _ => {}
        }
    }

    /// Something was learnt or forgotten; the file has it or has it not.
    pub(super) fn learnt(&mut self, change: &MapChange, is_kept: bool) {
        match change {
            MapChange::Learnt { message, meaning } => {
                self.unkept.retain(|unkept| unkept.message() != *message);
                // It was made from these words.
                let learnt = Assignment::parse(&format!("{message}={meaning}")).ok();
                self.unkept.extend(learnt.filter(|_| !is_kept));
            }
            MapChange::Forgotten(messages) => self.unkept.retain(|unkept| !messages.contains(&unkept.message())),
            MapChange::Replaced => {}
        }
    }

    /// Reads the configuration anew and changes what can change.
    ///
    /// # Errors
    /// When there are mistakes in it; then nothing has changed.
    pub(super) fn reload(&mut self, session: &LiveSession) -> Result<Changes, Failure> {
        let (flags, config) = self.arguments.read_anew()?;
        let mut rack = Rack::of(&flags.controller, config.controllers.as_deref())?;
        rack.go_on_from(&self.rack, &session.cables().ports());
        self.rack = rack;
        let changes = self.changes(&flags, &config, &session.feed.view().controllers.map);
        changes.make(session);
        Ok(changes)
    }

    /// What has changed since it was read last. From now on this is what was read last.
    fn changes(&mut self, flags: &JamFlags, config: &Config, map: &[(String, String)]) -> Changes {
        let effective = Effective::default().with(&config.settings).with(&flags.changes());
        let mut settings = effective.since(&self.effective);
        let other_models = self.models.rename(flags);
        // Whether it knows a style is the new model's to say.
        let style = settings.iter().position(is_style).filter(|_| other_models);
        self.style = style.map(|place| settings.remove(place));
        let playing = match self.playing {
            Control::Model(number) if usize::from(number) > self.models.count() => Control::Model(1),
            ref playing => playing.clone(),
        };

        let said = config.map(&flags.map, self.rack.layers());
        let layers: Vec<Vec<Assignment>> = std::iter::once(self.unkept.clone()).chain(said).collect();
        let stands = ControlMap::new(layers.clone()).controllers(None).map;

        let gone = |before: &Destination| !flags.connect_to.contains(before);
        let from_gone = self.from.iter().filter(|before| !flags.connect_from.contains(before));
        let to_gone = self.to.iter().filter(|before| gone(before)).map(|before| (Direction::To, before.name.clone()));
        let changes = Changes {
            file: config.file.clone(),
            settings,
            style: self.style.clone(),
            map: (stands != map).then_some(layers),
            detach: from_gone.map(|name| (Direction::From, name.clone())).chain(to_gone).collect(),
            attach_from: flags.connect_from.iter().filter(|name| !self.from.contains(name)).cloned().collect(),
            attach_to: flags.connect_to.iter().filter(|to| !self.to.contains(to)).cloned().collect(),
            other_models,
            model: playing,
            restart: config.keys.iter().filter_map(|key| self.needs_restart(&key.what)).collect(),
        };
        self.effective = effective;
        self.from.clone_from(&flags.connect_from);
        self.to.clone_from(&flags.connect_to);
        changes
    }

    /// The name of a key that cannot change while it plays, but has.
    fn needs_restart(&self, key: &Given) -> Option<String> {
        let before = self.started.iter().find(|before| before.what.name == key.name)?;
        let changed = before.what.values != key.values && !LIVE.contains(&key.name.as_str());
        changed.then(|| key.name.clone())
    }
}

fn is_style(control: &Control) -> bool {
    match control {
        Control::Style(_) => true,
        Control::Set(change) => change.setting().name == "style",
        _ => false,
    }
}

/// What has changed.
#[derive(Debug)]
pub(super) struct Changes {
    file: Option<Arc<Path>>,
    settings: Vec<Control>,
    /// Asked for when the model that is loaded takes over.
    style: Option<Control>,
    map: Option<Vec<Vec<Assignment>>>,
    detach: Vec<(Direction, String)>,
    attach_from: Vec<String>,
    attach_to: Vec<Destination>,
    other_models: bool,
    /// Asks for the model that is read anew.
    model: Control,
    restart: Vec<String>,
}

impl Changes {
    fn make(&self, session: &LiveSession) {
        let (controller, cables) = (session.controller(), session.cables());
        self.settings.iter().for_each(|control| controller.ask(control.clone()));
        if let Some(layers) = &self.map {
            controller.replace_map(layers.clone());
        }
        // First what goes, so that one of the same name may come at another offset.
        self.detach.iter().for_each(|(direction, name)| cables.detach(*direction, name));
        self.attach_from.iter().for_each(|name| cables.attach_from(name));
        self.attach_to.iter().for_each(|to| cables.attach_to(to.clone()));
        controller.ask(self.model.clone());
    }

    /// What has changed but counts only after a restart, in one sentence.
    pub(super) fn restart(&self) -> Option<String> {
        let names = self.restart.join(", ");
        (!names.is_empty()).then(|| format!("changed too, but only a restart makes it count: {names}"))
    }
}

impl fmt::Display for Changes {
    /// One sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut changes: Vec<String> = self.settings.iter().chain(&self.style).map(ToString::to_string).collect();
        changes.extend(self.map.as_ref().map(|_| "what MIDI messages mean".to_owned()));
        changes.extend(self.detach.iter().map(|(_, name)| format!("detached {name}")));
        changes.extend(self.attach_from.iter().map(|name| format!("listening to {name}")));
        changes.extend(self.attach_to.iter().map(|to| format!("answering on {}", to.name)));
        changes.extend(self.other_models.then(|| "other models".to_owned()));
        match &self.file {
            Some(file) => write!(f, "read anew: {}", file.display())?,
            None => f.write_str("read anew: no configuration file")?,
        }
        if changes.is_empty() {
            f.write_str(", nothing in it counts otherwise")?;
        } else {
            write!(f, " ({})", changes.join(", "))?;
        }
        write!(f, ", and {}", self.model)
    }
}

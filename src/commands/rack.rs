//! Which ready-made maps count: those that were named, and with `auto` those of the devices that are attached.

use std::path::Path;
use std::sync::Arc;

use super::Failure;
use crate::config::{ControllerMap, ControllerMaps, Sourced};
use crate::control::Assignment;
use crate::ports::{Direction, Ports};

/// The word for: those of the devices that are attached.
const AUTO: &str = "auto";

/// The maps that count, and the devices that have one.
#[derive(Debug)]
pub(super) struct Rack {
    all: ControllerMaps,
    on: Vec<ControllerMap>,
    auto: bool,
    /// Maps of which it was said that they are there.
    told: Vec<Arc<str>>,
}

/// A device that has a map.
pub(super) struct Known {
    /// In a sentence, with what to do.
    pub sentence: String,
    /// What its messages mean from now on, if it was put on.
    pub put_on: Option<Vec<Assignment>>,
}

impl Rack {
    /// The maps that were named.
    ///
    /// # Errors
    /// When there is no such map, or it cannot be used.
    pub fn of(names: &[String], folder: Option<&Path>) -> Result<Self, Failure> {
        let mut all = ControllerMaps::all(folder);
        let named = names.iter().filter(|name| *name != AUTO);
        let on = named.map(|name| all.find(name)).collect::<Result<_, _>>()?;
        Ok(Self { all, on, auto: names.iter().any(|name| name == AUTO), told: Vec::new() })
    }

    /// Looks at the ports that are attached: what is to be said of those that it has not seen yet.
    pub fn sees(&mut self, ports: &Ports) -> Vec<Known> {
        let mut known = Vec::new();
        for port in ports.attached(Direction::From) {
            let Some(map) = self.all.of_port(port).filter(|map| !self.has(&map.name)).cloned() else { continue };
            let name = Arc::clone(&map.name);
            known.push(if self.auto {
                let sentence = format!(
                    "{port} is a {}: its knobs are taken; `antiphon controllers {name}` lists what they do",
                    map.device
                );
                let put_on = Some(map.assignments());
                self.on.push(map);
                Known { sentence, put_on }
            } else {
                let sentence = format!(
                    "{port} is a {}: with --controller {name} its knobs set what `antiphon controllers {name}` lists",
                    map.device
                );
                Known { sentence, put_on: None }
            });
            self.told.push(name);
        }
        known
    }

    /// Takes the place of `before`, whose devices have been told of.
    pub fn go_on_from(&mut self, before: &Self, ports: &Ports) {
        self.sees(ports);
        self.told.extend(before.told.iter().cloned());
    }

    fn has(&self, name: &str) -> bool {
        self.on.iter().any(|map| *map.name == *name) || self.told.iter().any(|told| **told == *name)
    }

    /// What they say, a layer each.
    pub fn layers(&self) -> Vec<Vec<Assignment>> {
        self.on.iter().map(ControllerMap::assignments).collect()
    }

    /// What they say, each with its place.
    pub fn given(&self) -> impl Iterator<Item = &Sourced<Assignment>> {
        self.on.iter().flat_map(|map| &map.map)
    }
}

//! What the person at the monitor does: keys become wishes.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::link::{List, Wish};
use super::painting::Window;
use super::scene::Scene;
use super::steps::stepped;
use super::wire::Described;
use crate::ports::{CableState, Direction};

/// Letters that a typed value may have.
const LONGEST_TYPED: usize = 60;

/// What the lower part of the screen shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Everything that can be set.
    #[default]
    Settings,
    /// How well time is kept.
    Timing,
    /// Ports that are attached, and those that could be.
    Ports,
    /// What knobs, keys and pedals mean.
    Knobs,
    /// What was recorded.
    Takes,
    /// Which model plays, and which others could.
    Models,
}

impl Pane {
    /// All of them, in the order of their numbers, from 1.
    pub const ALL: [Self; 6] = [Self::Settings, Self::Timing, Self::Ports, Self::Knobs, Self::Takes, Self::Models];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Settings => "Settings",
            Self::Timing => "Timing",
            Self::Ports => "Ports",
            Self::Knobs => "Knobs",
            Self::Takes => "Takes",
            Self::Models => "Models",
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).unwrap_or_default()
    }
}

/// Actions by their keys, and what they are called.
pub(super) const ACTIONS: [(char, &str, &str); 4] = [
    ('h', "hand-over", "hand over"),
    ('t', "take-back", "take back"),
    ('p', "panic", "panic"),
    ('s', "split-take", "split take"),
];

/// What is to be done after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more.
    Stay,
    /// This is asked for.
    Wish(Wish),
    /// The monitor ends.
    Leave,
    /// The monitor gives the terminal back to the shell for a while.
    Suspend,
}

/// A row of the pane with the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortRow {
    /// One that is wanted: its place among the cables.
    Cable(usize),
    /// One that is there and could be attached.
    Free(Direction, String),
}

/// What the person is about.
#[derive(Debug, Default)]
pub struct Hands {
    pub(super) pane: Pane,
    chosen: [usize; Pane::ALL.len()],
    /// A value that is being typed.
    pub(super) typed: Option<String>,
    /// The take that is about to be deleted, if the answer is yes.
    pub(super) deleting: Option<String>,
    pub(super) help: bool,
    pub(super) window: Window,
}

impl Hands {
    /// The row that is chosen among so many.
    pub(super) fn row(&self, rows: usize) -> usize {
        self.chosen[self.pane.place()].min(rows.saturating_sub(1))
    }

    /// Takes a key.
    pub fn press(&mut self, key: KeyEvent, scene: &Scene) -> Outcome {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Outcome::Leave,
            KeyCode::Char('z') if control => return Outcome::Suspend,
            _ if control || key.modifiers.contains(KeyModifiers::ALT) => return Outcome::Stay,
            _ => {}
        }
        if self.typed.is_some() {
            return self.type_on(key.code, scene);
        }
        if let Some(name) = self.deleting.take() {
            let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
            return if yes { Outcome::Wish(Wish::Delete(name)) } else { Outcome::Stay };
        }
        if std::mem::take(&mut self.help) {
            return Outcome::Stay;
        }
        self.command(key, scene)
    }

    fn command(&mut self, key: KeyEvent, scene: &Scene) -> Outcome {
        let rows = self.rows(scene);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Outcome::Leave,
            KeyCode::Char('?') | KeyCode::F(1) => self.help = true,
            KeyCode::Tab => self.turn_to(self.pane.place() + 1),
            KeyCode::BackTab => self.turn_to(self.pane.place() + Pane::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='6') => self.turn_to(digit as usize - '1' as usize),
            KeyCode::Up | KeyCode::Char('k') => self.choose(rows, |row| row.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.choose(rows, |row| row + 1),
            KeyCode::PageUp => self.choose(rows, |row| row.saturating_sub(10)),
            KeyCode::PageDown => self.choose(rows, |row| row + 10),
            KeyCode::Home => self.choose(rows, |_| 0),
            KeyCode::End => self.choose(rows, |_| usize::MAX),
            KeyCode::Char('m') => return next_mode(scene),
            KeyCode::Char('b') => return asking(if scene.playing.is_some() { "stop-take" } else { "play-take" }),
            KeyCode::Char(letter) if ACTIONS.iter().any(|(key, ..)| *key == letter) => {
                let action = ACTIONS.iter().find(|(key, ..)| *key == letter).map(|(_, action, _)| *action);
                return action.map_or(Outcome::Stay, asking);
            }
            KeyCode::Char('l') if scene.knobs.learning.is_some() => return asking("stop-learning"),
            code => return self.in_pane(code, key.modifiers, scene),
        }
        Outcome::Stay
    }

    fn in_pane(&mut self, code: KeyCode, modifiers: KeyModifiers, scene: &Scene) -> Outcome {
        let row = self.row(self.rows(scene));
        match self.pane {
            Pane::Settings => {
                let Some(setting) = scene.settings.get(row) else { return Outcome::Stay };
                let steps = if modifiers.contains(KeyModifiers::SHIFT) { 10 } else { 1 };
                match code {
                    KeyCode::Left | KeyCode::Char('-') => set(setting, stepped(setting, scene, -steps)),
                    KeyCode::Right | KeyCode::Char('+') => set(setting, stepped(setting, scene, steps)),
                    KeyCode::Backspace | KeyCode::Delete | KeyCode::Char('d') => {
                        set(setting, Some(setting.default.clone()))
                    }
                    KeyCode::Enter => {
                        self.typed = Some(String::new());
                        Outcome::Stay
                    }
                    KeyCode::Char('l') => Outcome::Wish(Wish::Control(format!("learn {}", setting.name))),
                    _ => Outcome::Stay,
                }
            }
            Pane::Timing => Outcome::Stay,
            Pane::Ports => match (code, port_rows(scene).get(row)) {
                (KeyCode::Enter, Some(row)) => turn_over(row, scene),
                _ => Outcome::Stay,
            },
            Pane::Knobs => match (code, scene.knobs.map.get(row)) {
                (KeyCode::Backspace | KeyCode::Delete | KeyCode::Char('x'), Some(knob)) => {
                    asking(&format!("forget {}", knob.message))
                }
                _ => Outcome::Stay,
            },
            Pane::Takes => match (code, scene.takes.get(row)) {
                (KeyCode::Backspace | KeyCode::Delete | KeyCode::Char('x'), Some(take)) if !take.recording => {
                    self.deleting = Some(take.name.clone());
                    Outcome::Stay
                }
                (KeyCode::Enter, Some(take)) if scene.playing.as_ref() == Some(&take.name) => asking("stop-take"),
                (KeyCode::Enter, Some(take)) => asking(&format!("play-take {}", take.name)),
                (KeyCode::Char('r'), _) => Outcome::Wish(Wish::Look(List::Takes)),
                _ => Outcome::Stay,
            },
            Pane::Models => match (code, scene.models.get(row)) {
                (KeyCode::Enter, Some(model)) => asking(&model.control),
                (KeyCode::Char('r'), _) => Outcome::Wish(Wish::Look(List::Models)),
                _ => Outcome::Stay,
            },
        }
    }

    fn type_on(&mut self, code: KeyCode, scene: &Scene) -> Outcome {
        let Some(typed) = &mut self.typed else { return Outcome::Stay };
        match code {
            KeyCode::Esc => self.typed = None,
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(letter) if typed.len() < LONGEST_TYPED => typed.push(letter),
            KeyCode::Enter => {
                let value = self.typed.take().unwrap_or_default();
                let setting = scene.settings.get(self.row(scene.settings.len()));
                return match (setting, value.trim()) {
                    (Some(setting), value) if !value.is_empty() => set(setting, Some(value.to_owned())),
                    _ => Outcome::Stay,
                };
            }
            _ => {}
        }
        Outcome::Stay
    }

    fn turn_to(&mut self, place: usize) {
        self.pane = Pane::ALL[place % Pane::ALL.len()];
    }

    fn choose(&mut self, rows: usize, to: impl Fn(usize) -> usize) {
        self.chosen[self.pane.place()] = to(self.row(rows)).min(rows.saturating_sub(1));
    }

    fn rows(&self, scene: &Scene) -> usize {
        match self.pane {
            Pane::Settings => scene.settings.len(),
            Pane::Timing => 0,
            Pane::Ports => port_rows(scene).len(),
            Pane::Knobs => scene.knobs.map.len(),
            Pane::Takes => scene.takes.len(),
            Pane::Models => scene.models.len(),
        }
    }
}

/// The ports that are wanted, then those that are free.
pub(super) fn port_rows(scene: &Scene) -> Vec<PortRow> {
    let ports = &scene.ports;
    let free = |direction: Direction, names: &[String]| {
        let taken: Vec<&str> = ports.attached(direction).collect();
        let names: Vec<String> = names.iter().filter(|name| !taken.contains(&name.as_str())).cloned().collect();
        names.into_iter().map(move |name| PortRow::Free(direction, name))
    };
    let wanted = (0..ports.cables.len()).map(PortRow::Cable);
    wanted.chain(free(Direction::From, &ports.from)).chain(free(Direction::To, &ports.to)).collect()
}

/// Attaches what is free or was unplugged; detaches what is wanted.
fn turn_over(row: &PortRow, scene: &Scene) -> Outcome {
    let wish = match row {
        PortRow::Free(direction, name) => Wish::Cable { direction: *direction, name: name.clone(), wanted: true },
        PortRow::Cable(place) => {
            let Some(cable) = scene.ports.cables.get(*place) else { return Outcome::Stay };
            let wanted = cable.state == CableState::Unplugged;
            Wish::Cable { direction: cable.direction, name: cable.name.clone(), wanted }
        }
    };
    Outcome::Wish(wish)
}

fn asking(line: &str) -> Outcome {
    Outcome::Wish(Wish::Control(line.to_owned()))
}

fn set(setting: &Described, value: Option<String>) -> Outcome {
    value.map_or(Outcome::Stay, |value| asking(&format!("{} {value}", setting.name)))
}

fn next_mode(scene: &Scene) -> Outcome {
    let mode = scene.settings.iter().find(|row| row.name == "mode");
    mode.map_or(Outcome::Stay, |mode| {
        let choices = mode.choices.as_deref().unwrap_or_default();
        let now = choices.iter().position(|choice| *choice == mode.value).unwrap_or_default();
        set(mode, choices.get((now + 1) % choices.len().max(1)).cloned())
    })
}

#[cfg(test)]
mod tests;
